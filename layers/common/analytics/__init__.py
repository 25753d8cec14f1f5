"""API Analytics: the package that the three functions share.

Its floors, from the ground; each imports only what lies below it (`lint-imports` checks that):

    0  errors                    refusals, each with its HTTP status
    0  model                     what a client may send, and the limits
    1  batch                     logs as columns, packed into the bytes of one item
    1  key, cursor, timeline     the form of a key; of a page's end; ranges, periods and points
    1  planes, sketch            numbers as few bytes; how many different names there are, within 1 %
    1  histogram, addresses      latency within 1 %; who came, exact and then sketched
    1  group, visitors           requests, and addresses, that are shown together
    1  window, pending           what is counted of one stretch of time; what is gathered until it is worth counting
    1  summary, bounds           what is counted of all, and how it stays small enough to store
    1  metric                    what CloudWatch reads off the output
    1  filter, report, export    which logs; the dashboard's blocks; rows and files
    2  store, settings           DynamoDB; the environment
    3  fold, answer              summaries that are stored by whoever reads; questions and where their answers come from
    4  web                       what the applications share: errors, keys, bodies
    5  runtime                   an application as a Lambda handler

A log's way: `web.read_body` → `model.parse_batch` → `Batch.of` → `LogTable.append`, and back:
`LogTable.since` → `Fold` → `Summary` → `Report`.
"""
