"""`python -m local demo`: what the service shows of an app, without an app of your own.

demonstration  starts the service and the sample app, sends the traffic, compares the counts
sample_app     a small bookshop that uses the middleware
traffic        the visitors of the bookshop
terminal       a dashboard's answer as tables
"""
