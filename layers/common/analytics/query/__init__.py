"""Questions about a stream, and their answers.

answer              the dashboard's answer: from summaries, or from raw logs where those cannot tell
report              summaries added up into the blocks of the answer
export              raw logs as rows, CSV and NDJSON
filter, cursor      which logs; where a page of them ended
ranges              ranges of time, periods, and the points of a time series
"""
