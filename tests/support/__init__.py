"""What several folders of tests share.

- `engines`: empty tables on moto or dynoxide.
- `reference`: the dashboard computed plainly from a list of logs, to which the real one is compared.
- `simulator`: the deterministic scheduler behind the model check of folds.
- `crash_test`: processes that write, fold and are killed, behind `test_fold_live`.
- `raw_http`: a running service, and bytes that no HTTP client would send.
- `browser`: a running service, Chromium, and readers of the page.
"""
