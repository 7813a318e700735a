#!/bin/bash
# Joins this instance to an EKS cluster; the arguments are those of the bootstrap script of EKS-optimised Amazon Linux 2.
# Usage: bootstrap.sh CLUSTER --apiserver-endpoint URL --b64-cluster-ca CA [--enable-local-outpost true|false]
#                     [--cluster-id ID] [--ip-of-endpoint ADDRESS[,ADDRESS]] [--kubelet-extra-args ARGS]
set -euo pipefail

die() { echo "bootstrap.sh: $*" >&2; exit 1; }

CLUSTER= ENDPOINT= CA= LOCAL=false EXTRA= ADDRESSES= ID=
while [ $# -gt 0 ]; do
    case $1 in
        --apiserver-endpoint) ENDPOINT=$2; shift 2 ;;
        --b64-cluster-ca) CA=$2; shift 2 ;;
        --enable-local-outpost) LOCAL=$2; shift 2 ;;
        --cluster-id) ID=$2; shift 2 ;;
        --ip-of-endpoint) ADDRESSES=$2; shift 2 ;;
        --kubelet-extra-args) EXTRA=$2; shift 2 ;;
        -*) die "unknown argument $1" ;;
        *) CLUSTER=$1; shift ;;
    esac
done
[ -n "$CLUSTER" ] || die "the cluster's name is missing"
[ -n "$ENDPOINT" ] && [ -n "$CA" ] || die "--apiserver-endpoint and --b64-cluster-ca are needed"
case $LOCAL in true|false) ;; *) die "--enable-local-outpost takes true or false" ;; esac

imds() {
    local token
    token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
    curl -sf -m 5 -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/$1"
}
REGION=$(imds meta-data/placement/region)
ADDRESS=$(imds meta-data/local-ipv4)
NODE=$(imds meta-data/local-hostname)

mkdir -p /etc/kubernetes/pki /etc/kubernetes/kubelet /var/lib/kubelet /etc/eks
base64 -d <<<"$CA" > /etc/kubernetes/pki/ca.crt

# A local cluster's nodes find the control plane without DNS, which is in the Region.
if [ "$LOCAL" = true ] && [ -n "$ADDRESSES" ]; then
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
ARGS="--node-ip=$ADDRESS --hostname-override=$NODE"
if [ "$LOCAL" = true ]; then
    iam_kubeconfig > /var/lib/kubelet/bootstrap-kubeconfig
    ARGS="$ARGS --bootstrap-kubeconfig=/var/lib/kubelet/bootstrap-kubeconfig"
else
    iam_kubeconfig > /var/lib/kubelet/kubeconfig
fi
echo "KUBELET_ARGS=$ARGS --kubeconfig=/var/lib/kubelet/kubeconfig $EXTRA" > /etc/eks/kubelet.env
sed "s/@NODE@/$NODE/" /etc/eks/kube-proxy.yaml > /etc/kubernetes/kube-proxy.yaml
cp /etc/eks/kubelet-config.yaml /etc/kubernetes/kubelet/config.yaml

systemctl enable --quiet pod-routes containerd kubelet kube-proxy
systemctl start --no-block pod-routes containerd kubelet kube-proxy
