#!/bin/bash
# Writes what a node of an EKS cluster needs and starts its units; shared by bootstrap.sh and nodeadm.
# Environment: CLUSTER, ENDPOINT, CA (base64), and optionally DNS_IP, MAX_PODS, EXTRA (kubelet flags), NODE (its name),
# LOCAL (true: a local cluster on an Outpost), ID (of the cluster), ADDRESSES (of a local control plane), KUBELET_CONFIG
# (JSON that is laid over the kubelet's configuration).
set -euo pipefail

imds() {
    local token
    token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
    curl -sf -m 5 -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/$1"
}
REGION=$(imds meta-data/placement/region)
ADDRESS=$(imds meta-data/local-ipv4)
NODE=${NODE:-$(imds meta-data/local-hostname)}
PROVIDER_ID="aws:///$(imds meta-data/placement/availability-zone)/$(imds meta-data/instance-id)"
LOCAL=${LOCAL:-false}

mkdir -p /etc/kubernetes/pki /etc/kubernetes/kubelet/config.d /var/lib/kubelet /etc/eks
base64 -d <<<"$CA" > /etc/kubernetes/pki/ca.crt

# A local cluster's nodes find the control plane without DNS, which is in the Region.
if [ "$LOCAL" = true ] && [ -n "${ADDRESSES:-}" ]; then
    name=${ENDPOINT#https://}; name=${name%%:*}
    tr ',' '\n' <<<"$ADDRESSES" | while read -r address; do echo "$address $name"; done >> /etc/hosts
fi

# IAM: the node role's credentials become a token. On a local cluster only for joining; from then on X.509, which needs no Region.
iam_kubeconfig() {
    cat <<YAML
apiVersion: v1
kind: Config
clusters: [{name: cluster, cluster: {server: "$ENDPOINT", certificate-authority: /etc/kubernetes/pki/ca.crt}}]
contexts: [{name: node, context: {cluster: cluster, user: node}}]
current-context: node
users:
- name: node
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: /opt/islanding/bin/aws-iam-authenticator
      interactiveMode: Never
      args: [token, -i, "${ID:-$CLUSTER}", --region, "$REGION"]
      env: [{name: AWS_STS_REGIONAL_ENDPOINTS, value: regional}]
YAML
}
ARGS="--node-ip=$ADDRESS --hostname-override=$NODE --config-dir=/etc/kubernetes/kubelet/config.d"
if [ "$LOCAL" = true ]; then
    iam_kubeconfig > /var/lib/kubelet/bootstrap-kubeconfig
    ARGS="$ARGS --bootstrap-kubeconfig=/var/lib/kubelet/bootstrap-kubeconfig"
else
    iam_kubeconfig > /var/lib/kubelet/kubeconfig
fi
PROVIDER=/etc/eks/image-credential-provider/config.json
if [ -e $PROVIDER ]; then
    ARGS="$ARGS --image-credential-provider-config=$PROVIDER --image-credential-provider-bin-dir=/opt/islanding/bin"
fi
cat > /etc/eks/kubelet.env <<ENV
KUBELET_ARGS=$ARGS --kubeconfig=/var/lib/kubelet/kubeconfig
KUBELET_EXTRA_ARGS=${EXTRA:-}
ENV

cp /etc/eks/kubelet-config.yaml /etc/kubernetes/kubelet/config.yaml
{
    echo "apiVersion: kubelet.config.k8s.io/v1beta1"
    echo "kind: KubeletConfiguration"
    echo "providerID: $PROVIDER_ID"
    [ "$LOCAL" != true ] || echo "rotateCertificates: true"
    [ -z "${MAX_PODS:-}" ] || echo "maxPods: $MAX_PODS"
    [ -z "${DNS_IP:-}" ] || printf 'clusterDNS: [%s]\nclusterDomain: cluster.local\n' "$DNS_IP"
} > /etc/kubernetes/kubelet/config.d/10-eks.conf
[ -z "${KUBELET_CONFIG:-}" ] || printf '%s\n' "$KUBELET_CONFIG" > /etc/kubernetes/kubelet/config.d/20-node.conf

UNITS="containerd kubelet"
if [ -e /etc/eks/kube-proxy.yaml ]; then # where no DaemonSet brings it
    sed "s/@NODE@/$NODE/" /etc/eks/kube-proxy.yaml > /etc/kubernetes/kube-proxy.yaml
    UNITS="pod-routes $UNITS kube-proxy"
fi
# shellcheck disable=SC2086 # several units
systemctl enable --quiet $UNITS
# shellcheck disable=SC2086
systemctl start --no-block $UNITS
