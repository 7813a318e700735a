#!/bin/bash
# Pulls the image of the pods' sandboxes: containerd pulls it by itself without credentials, which Amazon ECR refuses.
set -euo pipefail
PATH=/opt/islanding/bin:$PATH
image=$(sed -n 's/^ *sandbox = "\(.*\)"$/\1/p' /etc/containerd/config.toml)
[ -z "$(ctr --namespace k8s.io images ls -q "name==$image")" ] || exit 0
request='{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest","image":"'$image'"}'
if ! user=$(ecr-credential-provider <<<"$request" | python3 -c '
import json, sys
(auth,) = json.load(sys.stdin)["auth"].values()
print(auth["username"] + ":" + auth["password"])'); then
    echo "Unable to retrieve the ECR password." >&2
    exit 1
fi
ctr --namespace k8s.io images pull --user "$user" "$image" > /dev/null
ctr --namespace k8s.io images label "$image" io.cri-containerd.pinned=pinned > /dev/null
