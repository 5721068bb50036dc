"""Tables for participants, keys and records, in the order of their checks."""

from typing import Any

from keeling.reasons import Reason as R
from keeling.v1 import operations_pb2 as op
from tests.fakes.world import Person
from tests.node.core.sample import Case, programme

NEW = Person("ops", "newcomer")
KEY = op.KeyGrant(key=NEW.key, person="ops", purposes=7)
ADMINISTRATOR = Person("ops", "mallory").key


def admit(**fields: Any) -> op.Admit:
    fields = {"participant": "newcomer", "name": "Newcomer", "roles": ["group"], "keys": [KEY], **fields}
    return op.Admit(**fields)


def record(**fields: Any) -> op.SetRecord:
    body = {"programme": programme("X").programme} if "registry" not in fields and "rule" not in fields else {}
    return op.SetRecord(**{"id": "X", "version": 1, "source": "a decision", **body, **fields})


def broken(**fields: Any) -> op.SetRecord:
    made = programme("X")
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(made.programme, name).extend(value)
        else:
            setattr(made.programme, name, value)
    return made


def levy(**fields: Any) -> op.Levy:
    return op.Levy(**{"name": "SOP", "basis_points": 500, "account": "SOP", "rounding": 1, **fields})


BAD_KEY = op.KeyGrant(key=b"\x01" + bytes(31), person="ops", purposes=1)

SUBMITTER = op.KeyGrant(key=NEW.key, person="ops", purposes=1)
TAKEN = op.KeyGrant(key=ADMINISTRATOR, person="ops", purposes=7)

ADMIT = [
    Case("name with a space", R.BAD_FIELD, "reg", admit(participant="new comer")),
    Case("no full name", R.MISSING_FIELD, "reg", admit(name="")),
    Case("full name of 257", R.BAD_FIELD, "reg", admit(name="x" * 257)),
    Case("unknown role", R.BAD_FIELD, "reg", admit(roles=["king"])),
    Case("no role", R.BAD_FIELD, "reg", admit(roles=[])),
    Case("no key", R.MISSING_FIELD, "reg", admit(keys=[])),
    Case("key of small order", R.BAD_FIELD, "reg", admit(keys=[BAD_KEY])),
    Case("key of nobody", R.MISSING_FIELD, "reg", admit(keys=[op.KeyGrant(key=NEW.key, purposes=1)])),
    Case("purposes unknown", R.BAD_FIELD, "reg", admit(keys=[op.KeyGrant(key=NEW.key, person="p", purposes=64)])),
    Case("a validator without a node", R.MISSING_FIELD, "reg", admit(validator=True)),
    Case("a node of no validator", R.BAD_FIELD, "reg", admit(node=op.NodeKeys())),
    Case("known participant", R.PARTICIPANT_EXISTS, "reg", admit(participant="bob")),
    Case("known key", R.KEY_EXISTS, "mallory", admit(keys=[op.KeyGrant(key=ADMINISTRATOR, person="p", purposes=1)])),
    Case("key twice", R.KEY_EXISTS, "reg", admit(keys=[KEY, KEY])),
    Case("not the electorate", R.NOT_PERMITTED, "mallory", admit()),
    Case("admitted", None, "reg", admit()),
]

ROTATE = [
    Case("nothing", R.MISSING_FIELD, "mallory", op.RotateKey()),
    Case("half a key", R.BAD_FIELD, "mallory", op.RotateKey(retire=b"half")),
    Case("key of small order", R.BAD_FIELD, "mallory", op.RotateKey(add=BAD_KEY)),
    Case("another's key", R.KEY_NOT_ACTIVE, "mallory", op.RotateKey(retire=Person("ops", "bob").key)),
    Case(
        "known key", R.KEY_EXISTS, "mallory", op.RotateKey(add=op.KeyGrant(key=ADMINISTRATOR, person="p", purposes=1))
    ),
    Case("no administrator", R.NOT_PERMITTED, "alice/clerk", op.RotateKey(add=KEY)),
    Case("the last administrator", R.POLICY_LOCKS_OUT, "mallory", op.RotateKey(retire=ADMINISTRATOR)),
    Case("one more", None, "mallory", op.RotateKey(add=KEY)),
    Case(
        "itself like for like",
        None,
        "alice/clerk",
        op.RotateKey(retire=Person("clerk", "alice").key, add=op.KeyGrant(key=NEW.key, person="clerk", purposes=1)),
    ),
]

RECORD = [
    Case("bad id", R.BAD_FIELD, "reg", record(id="")),
    Case("no source", R.MISSING_FIELD, "reg", record(source="")),
    Case("unclear time", R.MISSING_FIELD, "reg", record(effective_from=op.When(ms=1))),
    Case("no body", R.MISSING_FIELD, "reg", op.SetRecord(id="X", version=1, source="s")),
    Case("programme without registry", R.BAD_FIELD, "reg", broken(registry="")),
    Case("programme without grain", R.BAD_FIELD, "reg", broken(grain="")),
    Case("transfer rule unknown", R.MISSING_FIELD, "reg", broken(transfer_rule=99)),
    Case("transfer rule unsaid", R.MISSING_FIELD, "reg", broken(transfer_rule=0)),
    Case("levy to nobody", R.BAD_FIELD, "reg", broken(levies=[levy(account="")])),
    Case("levy above all", R.BAD_FIELD, "reg", broken(levies=[levy(basis_points=10_001)])),
    Case("levy unrounded", R.MISSING_FIELD, "reg", broken(levies=[levy(rounding=0)])),
    Case("levy rounded oddly", R.MISSING_FIELD, "reg", broken(levies=[levy(rounding=300)])),
    Case("registry by another name", R.BAD_FIELD, "reg", record(registry=op.RegistryPolicy(capture_grade="B"))),
    Case("grade E", R.BAD_FIELD, "reg", record(id="registry:x", registry=op.RegistryPolicy(capture_grade="E"))),
    Case("version 2 first", R.RECORD_VERSION_NOT_NEXT, "mallory", record(version=2)),
    Case("not the electorate", R.NOT_PERMITTED, "mallory", record()),
    Case("set", None, "reg", record()),
    Case("a registry", None, "reg", record(id="registry:x", registry=op.RegistryPolicy(capture_grade="B"))),
]

REPLACE = [
    Case("name with a space", R.BAD_FIELD, "reg", op.Replace(participant="b ob", keys=[KEY])),
    Case("nothing", R.MISSING_FIELD, "reg", op.Replace(participant="bob")),
    Case("key of small order", R.BAD_FIELD, "reg", op.Replace(participant="bob", keys=[BAD_KEY])),
    Case("no administrator", R.POLICY_LOCKS_OUT, "reg", op.Replace(participant="bob", keys=[SUBMITTER])),
    Case("nobody", R.PARTICIPANT_NOT_FOUND, "reg", op.Replace(participant="nobody", keys=[KEY])),
    Case("known key", R.KEY_EXISTS, "reg", op.Replace(participant="bob", keys=[TAKEN])),
    Case("not the electorate", R.NOT_PERMITTED, "mallory", op.Replace(participant="bob", keys=[KEY])),
    Case("replaced", None, "reg", op.Replace(participant="bob", keys=[KEY])),
]

CASES = {"Admit": ADMIT, "RotateKey": ROTATE, "SetRecord": RECORD, "Replace": REPLACE}
