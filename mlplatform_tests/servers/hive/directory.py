"""An LDAP directory in memory, for HiveServer2 to ask: ``python directory.py PORT USER PASSWORD``.

Runs in the server's environment, which has ldaptor.
"""

from __future__ import annotations

import sys
from typing import Any

BASE = "ou=people,dc=example,dc=org"

TREE = """\
dn: dc=org
objectClass: dcObject
dc: org

dn: dc=example,dc=org
objectClass: dcObject
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: uid={user},ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: {user}
cn: {user}
userPassword: {password}

"""


def main(port: int, user: str, password: str) -> None:
    from io import BytesIO

    from ldaptor.inmemory import fromLDIFFile
    from ldaptor.interfaces import IConnectedLDAPEntry
    from ldaptor.protocols.ldap.ldapserver import LDAPServer
    from twisted.internet import reactor
    from twisted.internet.protocol import ServerFactory
    from twisted.python.components import registerAdapter

    class Directory(ServerFactory):
        def __init__(self, root: Any) -> None:
            self.root = root

        def buildProtocol(self, addr: Any) -> LDAPServer:  # noqa: N802
            protocol = LDAPServer()
            protocol.factory = self
            return protocol

    def serve(root: Any) -> None:
        reactor.listenTCP(port, Directory(root), interface="127.0.0.1")

    registerAdapter(lambda factory: factory.root, Directory, IConnectedLDAPEntry)
    fromLDIFFile(BytesIO(TREE.format(user=user, password=password).encode())).addCallback(serve)
    reactor.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
