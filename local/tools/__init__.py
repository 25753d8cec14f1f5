"""The chores that build and document the project; each is `python -m local.tools.NAME`.

build             the stack for AWS: `sam build`, then a smaller layer with bytecode
sam               the built stack in containers, with `sam local`
image             the base image of these containers
interpreter       Python interpreters of this machine, by version
requirements      the pinned requirement files
openapi           the API's document, from the routes
response_schemas  the schemas and examples of its answers
vendor            the page's packages from npm
screenshot        the picture in the README
"""
