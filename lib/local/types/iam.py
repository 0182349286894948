"""IAM, which is the same in every region."""

import json

from lib.local.types.core import Aws, Change, RefusedError, Tagging, Type, Values, f, new


class Role(Type):
    token = "aws:iam/role:Role"
    service = "iam"
    regional = False
    inputs = {
        "name": new("RoleName"),
        "assumeRolePolicy": f("AssumeRolePolicyDocument", json=True),
        "description": f("Description", default=""),
        "maxSessionDuration": f("MaxSessionDuration", default=3600),
        "path": new("Path", default="/"),
        "permissionsBoundary": f("PermissionsBoundary", at="PermissionsBoundary.PermissionsBoundaryArn"),
        "forceDetachPolicies": f(default=False),
        "tags": f("Tags"),
    }
    outputs = {
        "arn": "Arn",
        "createDate": "CreateDate",
        "uniqueId": "RoleId",
        **dict.fromkeys(("namePrefix", "managedPolicyArns", "inlinePolicies"), "nothing"),
    }
    empty = {"namePrefix": ""}
    identity = "{name}"
    name = "name"
    key = {"RoleName": "{id}"}
    create_call = "create_role"
    read_call = "get_role"
    read_at = "Role"
    delete_call = "delete_role"
    tagging = Tagging("list_role_tags", "tag_role", "untag_role", "RoleName")
    tag_target = "{id}"

    def read(self, aws: Aws, known: Values) -> Values | None:
        real = super().read(aws, known)
        if real is None:
            return None
        attached = self.call(aws, "list_attached_role_policies", RoleName=known["id"])["AttachedPolicies"]
        names = self.call(aws, "list_role_policies", RoleName=known["id"])["PolicyNames"]
        policies = [self.call(aws, "get_role_policy", RoleName=known["id"], PolicyName=name) for name in names]
        return {
            **real,
            "managedPolicyArns": [policy["PolicyArn"] for policy in attached],
            "inlinePolicies": [{"name": p["PolicyName"], "policy": json.dumps(p["PolicyDocument"])} for p in policies],
        }

    def update(self, aws: Aws, change: Change) -> None:
        name = change.known["id"]
        if "assumeRolePolicy" in change.changed:
            self.call(aws, "update_assume_role_policy", RoleName=name, PolicyDocument=change.news["assumeRolePolicy"])
        if change.changed & {"description", "maxSessionDuration"}:
            duration = int(change.news.get("maxSessionDuration", 3600))
            self.call(
                aws,
                "update_role",
                RoleName=name,
                Description=change.news.get("description", ""),
                MaxSessionDuration=duration,
            )
        if "permissionsBoundary" in change.changed:
            if boundary := change.news.get("permissionsBoundary"):
                self.call(aws, "put_role_permissions_boundary", RoleName=name, PermissionsBoundary=boundary)
            else:
                self.call(aws, "delete_role_permissions_boundary", RoleName=name)

    def delete(self, aws: Aws, known: Values) -> None:
        if known.get("forceDetachPolicies"):
            name = known["id"]
            for policy in self.call(aws, "list_attached_role_policies", RoleName=name)["AttachedPolicies"]:
                self.call(aws, "detach_role_policy", RoleName=name, PolicyArn=policy["PolicyArn"])
            for inline in self.call(aws, "list_role_policies", RoleName=name)["PolicyNames"]:
                self.call(aws, "delete_role_policy", RoleName=name, PolicyName=inline)
        super().delete(aws, known)


class RolePolicy(Type):
    token = "aws:iam/rolePolicy:RolePolicy"
    service = "iam"
    regional = False
    inputs = {
        "name": new("PolicyName"),
        "role": new("RoleName"),
        "policy": f("PolicyDocument", json=True),
    }
    outputs = {"namePrefix": "nothing"}
    empty = {"namePrefix": ""}
    identity = "{role}:{name}"
    name = "name"
    key = {"RoleName": "{role}", "PolicyName": "{name}"}
    create_call = update_call = "put_role_policy"
    read_call = "get_role_policy"
    delete_call = "delete_role_policy"


class RolePolicyAttachment(Type):
    token = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    service = "iam"
    regional = False
    inputs = {"role": new("RoleName"), "policyArn": new("PolicyArn")}
    identity = "{role}/{policyArn}"
    key = {"RoleName": "{role}", "PolicyArn": "{policyArn}"}
    create_call = "attach_role_policy"
    delete_call = "detach_role_policy"

    def read(self, aws: Aws, known: Values) -> Values | None:
        try:
            found = self.call(aws, "list_attached_role_policies", RoleName=known["role"])["AttachedPolicies"]
        except RefusedError as error:
            if error.gone:
                return None
            raise
        attached = any(policy["PolicyArn"] == known["policyArn"] for policy in found)
        return {"role": known["role"], "policyArn": known["policyArn"]} if attached else None
