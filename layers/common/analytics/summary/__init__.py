"""What is counted of logs: small, mergeable in any order, stored by whoever reads.

    schedule                             the fold of streams whose dashboard nobody opens
    fold                                 reads rollups and tail, and stores a long tail
    rollup_builder, rollup               the rollup that is filled; the values of a fold
    codec, limits                        summaries as bytes, in every format; how they stay small
    summary, aggregate                   all counters over time; all counters of a day or an interval
    counters                             the list of what is counted
    *_section                            what the dashboard shows of each counter
    routes, addresses, consumers         the counters
    counter, section                     their interfaces
    accumulator                          logs that wait to be counted, as columns
    stats, histogram, hyperloglog        requests shown together; latency; how many different ones
    byteshuffle                          whole numbers as few bytes

No input or output and no clock: the table and the time come as arguments.
"""
