"""
A small web page that keeps a text in a session, to see the library at work:
`websession demo` runs it on several worker processes, cgi_app.py as CGI.
"""
