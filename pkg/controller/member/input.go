// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"crypto/sha256"
	"time"

	"k8s.io/apimachinery/pkg/types"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kcp-dev/logicalcluster/v3"

	"github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
	"github.com/kcp-dev/tmc/pkg/memberconfig"
	"github.com/kcp-dev/tmc/pkg/view"
	"github.com/kcp-dev/tmc/pkg/workspace"
)

// member is what the controller keeps of one registration. Fields above the line belong to the one worker that
// reconciles it; those below are read by others, too, under the controller's lock.
type member struct {
	uid        types.UID // of the registration
	source     source
	connection memberconfig.Connection
	problem    *memberconfig.Problem
	validUntil time.Time // when the input is to be judged again although it is the same
	conditions []metav1.Condition
	written    written

	created     time.Time
	endpoint    [sha256.Size]byte // server and certificate authority
	identity    identity
	observation view.Observation
}

// source identifies the input that a connection was read from.
type source struct {
	generation int64
	secretUID  types.UID
	secretRV   string
}

// read returns the connection of a registration, or why there is none. The same input is not parsed again, since
// reconciles follow every change of a member's figures.
func (c *Controller) read(m *member, registration *v1alpha1.ClusterRegistration) (memberconfig.Connection, *memberconfig.Problem) {
	now := c.config.Clock.Now()
	secret, found := c.config.Secrets.Find(secretOf(registration))
	from := source{generation: registration.Generation}
	var data map[string][]byte
	if found {
		from.secretUID, from.secretRV, data = secret.UID, secret.ResourceVersion, secret.Data
	}
	expired := !m.validUntil.IsZero() && !now.Before(m.validUntil)
	if m.source == from && !expired && (m.problem != nil || m.connection.Server != "") {
		return m.connection, m.problem
	}
	m.source, m.validUntil = from, time.Time{}
	m.connection, m.problem = parse(registration, data, found, now)
	if m.problem == nil {
		m.problem = c.config.Check(m.connection)
	}
	if m.problem == nil {
		m.validUntil = m.connection.CertificateNotAfter
	}
	return m.connection, m.problem
}

func parse(registration *v1alpha1.ClusterRegistration, data map[string][]byte, found bool, now time.Time) (memberconfig.Connection, *memberconfig.Problem) {
	reference, endpoint := registration.Spec.KubeconfigSecretRef, registration.Spec.Endpoint
	switch {
	case (reference == nil) == (endpoint == nil):
		return memberconfig.Connection{}, &memberconfig.Problem{
			Condition: v1alpha1.ConditionAccepted, Reason: v1alpha1.ReasonInvalidSpec,
			Message: "exactly one of spec.kubeconfigSecretRef and spec.endpoint must be set",
		}
	case !found:
		return memberconfig.Connection{}, secretNotFound(registration)
	case endpoint != nil:
		return memberconfig.FromEndpoint(*endpoint, data, now)
	}
	name := reference.Key
	if name == "" {
		name = v1alpha1.SecretKeyKubeconfig
	}
	if len(data[name]) == 0 {
		return memberconfig.Connection{}, &memberconfig.Problem{
			Condition: v1alpha1.ConditionCredentialsValid, Reason: v1alpha1.ReasonSecretKeyMissing,
			Message: "the Secret lacks the key " + memberconfig.Printable(name, 253) + ", or it is empty; put the kubeconfig there",
		}
	}
	return memberconfig.FromKubeconfig(data[name], now)
}

func secretNotFound(registration *v1alpha1.ClusterRegistration) *memberconfig.Problem {
	key := secretOf(registration)
	return &memberconfig.Problem{
		Condition: v1alpha1.ConditionCredentialsValid, Reason: v1alpha1.ReasonSecretNotFound,
		Message: "Secret " + key.Namespace + "/" + key.Name + " is not visible; create it with the label " +
			v1alpha1.CredentialsLabel + "=" + v1alpha1.CredentialsLabelValue + ", and accept the permission claim on secrets in the APIBinding",
	}
}

// secretOf returns the key of the Secret that a registration names; its Name is empty if it names none.
func secretOf(registration *v1alpha1.ClusterRegistration) workspace.Key {
	key := workspace.Key{Workspace: logicalcluster.From(registration)}
	switch spec := registration.Spec; {
	case spec.KubeconfigSecretRef != nil:
		key.Namespace, key.Name = spec.KubeconfigSecretRef.Namespace, spec.KubeconfigSecretRef.Name
	case spec.Endpoint != nil:
		key.Namespace, key.Name = spec.Endpoint.CredentialsSecretRef.Namespace, spec.Endpoint.CredentialsSecretRef.Name
	}
	return key
}

func keyOf(registration *v1alpha1.ClusterRegistration) workspace.Key {
	return workspace.Key{Workspace: logicalcluster.From(registration), Name: registration.Name}
}

// endpointOf identifies where a connection leads, whatever its credentials are.
func endpointOf(connection memberconfig.Connection) [sha256.Size]byte {
	return memberconfig.Connection{Server: connection.Server, CAData: connection.CAData}.Fingerprint()
}
