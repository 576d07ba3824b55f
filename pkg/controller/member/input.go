// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package member

import (
	"crypto/sha256"
	"time"

	"github.com/kcp-dev/logicalcluster/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	tmcv1alpha1 "github.com/kcp-dev/tmc/apis/tmc/v1alpha1"
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
	seeded     time.Time // when conditions were taken over from an earlier leader; zero once the member was judged
	written    written

	created     time.Time
	secret      workspace.Key     // that the registration names
	endpoint    [sha256.Size]byte // server and certificate authority
	identity    identity
	observation view.Observation
}

// source identifies the input that a connection was read from.
type source struct {
	generation int64
	secretUID  types.UID
	secretRV   string
	missing    missing
}

// missing is why a Secret that is not found may be missing.
type missing struct {
	unread  bool   // the Secrets of the workspace have not been read yet
	refused string // the APIBinding that does not accept our claim
}

// read returns the connection of a registration, or why there is none. The same input is not parsed again, since
// reconciles follow every change of a member's figures.
func (c *Controller) read(m *member, registration *tmcv1alpha1.ClusterRegistration) (memberconfig.Connection, *memberconfig.Problem) {
	now := c.config.Clock.Now()
	key := secretOf(registration)
	c.nameSecret(m, keyOf(registration), key) // first, so that no later change of the Secret is missed
	why := c.whyMissing(key)                  // first, so that a Secret that is read in between is found
	secret, found := c.config.Secrets.Find(key)
	from := source{generation: registration.Generation, missing: why}
	var data map[string][]byte
	if found {
		from.missing = missing{}
		from.secretUID, from.secretRV, data = secret.UID, secret.ResourceVersion, secret.Data
	}
	expired := !m.validUntil.IsZero() && !now.Before(m.validUntil)
	if m.source == from && !expired && (m.problem != nil || m.connection.Server != "") {
		return m.connection, m.problem
	}
	m.source, m.validUntil = from, time.Time{}
	m.connection, m.problem = parse(registration, data, found, from.missing, now)
	if m.problem == nil {
		m.problem = c.config.Check(m.connection)
	}
	m.validUntil = m.connection.CertificateNotAfter
	if m.problem != nil {
		m.validUntil = m.problem.Until
	}
	return m.connection, m.problem
}

func (c *Controller) whyMissing(secret workspace.Key) missing {
	binding, refused := c.config.Secrets.Refused(secret.Workspace)
	if refused {
		return missing{refused: binding}
	}
	return missing{unread: !c.config.Secrets.Read(secret.Workspace)}
}

// nameSecret notes which Secret a registration names; none if its Name is empty.
func (c *Controller) nameSecret(m *member, key, secret workspace.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.secret == secret {
		return
	}
	if named := c.bySecret[m.secret]; named.Has(key) {
		named.Delete(key)
		if len(named) == 0 {
			delete(c.bySecret, m.secret)
		}
	}
	m.secret = secret
	if secret.Name == "" {
		return
	}
	if c.bySecret[secret] == nil {
		c.bySecret[secret] = sets.Set[workspace.Key]{}
	}
	c.bySecret[secret].Insert(key)
}

func parse(registration *tmcv1alpha1.ClusterRegistration, data map[string][]byte, found bool, why missing, now time.Time) (memberconfig.Connection, *memberconfig.Problem) {
	reference, endpoint := registration.Spec.KubeconfigSecretRef, registration.Spec.Endpoint
	switch {
	case (reference == nil) == (endpoint == nil):
		return memberconfig.Connection{}, &memberconfig.Problem{
			Condition: tmcv1alpha1.ConditionAccepted, Reason: tmcv1alpha1.ReasonInvalidSpec,
			Message: "exactly one of spec.kubeconfigSecretRef and spec.endpoint must be set",
		}
	case !found:
		return memberconfig.Connection{}, secretNotFound(registration, why)
	case endpoint != nil:
		return memberconfig.FromEndpoint(*endpoint, data, now)
	}
	name := reference.Key
	if name == "" {
		name = tmcv1alpha1.SecretKeyKubeconfig
	}
	if len(data[name]) == 0 {
		return memberconfig.Connection{}, &memberconfig.Problem{
			Condition: tmcv1alpha1.ConditionCredentialsValid, Reason: tmcv1alpha1.ReasonSecretKeyMissing,
			Message: "the Secret lacks the key " + memberconfig.Printable(name, 253) + ", or it is empty; put the kubeconfig there",
		}
	}
	return memberconfig.FromKubeconfig(data[name], now)
}

func secretNotFound(registration *tmcv1alpha1.ClusterRegistration, why missing) *memberconfig.Problem {
	key := secretOf(registration)
	problem := &memberconfig.Problem{Condition: tmcv1alpha1.ConditionCredentialsValid, Reason: tmcv1alpha1.ReasonSecretNotFound}
	switch {
	case why.refused != "":
		problem.Message = "The Secrets of this workspace are not visible, since the APIBinding does not accept the permission claim on them; " +
			"set its state to Accepted and its selector to its default selector: kubectl edit apibinding " + why.refused
	case why.unread:
		problem.Reason, problem.Message = tmcv1alpha1.ReasonPending, "The Secrets of this workspace have not been read yet"
	default:
		problem.Message = "Secret " + key.Namespace + "/" + key.Name + " is not visible; create it with the label " +
			tmcv1alpha1.CredentialsLabel + "=" + tmcv1alpha1.CredentialsLabelValue +
			", and see that the permission claim on secrets in the APIBinding selects it"
	}
	return problem
}

// secretOf returns the key of the Secret that a registration names; its Name is empty if it names none.
func secretOf(registration *tmcv1alpha1.ClusterRegistration) workspace.Key {
	key := workspace.Key{Workspace: logicalcluster.From(registration)}
	switch spec := registration.Spec; {
	case spec.KubeconfigSecretRef != nil:
		key.Namespace, key.Name = spec.KubeconfigSecretRef.Namespace, spec.KubeconfigSecretRef.Name
	case spec.Endpoint != nil:
		key.Namespace, key.Name = spec.Endpoint.CredentialsSecretRef.Namespace, spec.Endpoint.CredentialsSecretRef.Name
	}
	return key
}

func keyOf(registration *tmcv1alpha1.ClusterRegistration) workspace.Key {
	return workspace.Key{Workspace: logicalcluster.From(registration), Name: registration.Name}
}

// endpointOf identifies where a connection leads, whatever its credentials are.
func endpointOf(connection memberconfig.Connection) [sha256.Size]byte {
	return memberconfig.Connection{Server: connection.Server, CAData: connection.CAData}.Fingerprint()
}
