"""DynamoDB on a port of this machine.

tables       creates the template's tables in any DynamoDB
dynamodb     the server on a port
wsgi         the database as a WSGI app: one operation at a time, written to the journal
engine       moto's DynamoDB as a function; the only user of moto
idempotency  the request tokens of TransactWriteItems, which moto ignores
journal      the file that keeps the data
dynoxide     another, stricter DynamoDB, for tests and benches
"""
