// Copyright 2026 The TMC Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types of ClusterRegistration, ClusterGrant and ClusterStatus. A condition that is not known yet is
// Unknown with reason ReasonPending.
const (
	// ConditionReady sums up the other conditions. On a ClusterStatus it is Unknown while the member is unreachable.
	ConditionReady = "Ready"
	// ConditionAccepted says whether the registration is well-formed, its address is permitted, and its cluster is
	// not registered already.
	ConditionAccepted = "Accepted"
	// ConditionCredentialsValid says whether the credentials can be read, are well-formed, and the member honours them.
	ConditionCredentialsValid = "CredentialsValid"
	// ConditionReachable says whether the member answers. It is Unknown after a member has not answered for long.
	ConditionReachable = "Reachable"
	// ConditionCapacityKnown says whether nodes and pods of the member have been counted.
	ConditionCapacityKnown = "CapacityKnown"
)

// Reasons that several conditions share.
const (
	// ReasonPending is the reason while something has not been looked at yet.
	ReasonPending = "Pending"
	// ReasonReady is the reason of a Ready condition that is True.
	ReasonReady = "Ready"
)

// Reasons of ConditionAccepted.
const (
	// ReasonAccepted: nothing speaks against the registration.
	ReasonAccepted = "Accepted"
	// ReasonInvalidSpec: a field of the spec is malformed; the message names it.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonAddressNotAllowed: the server's address is in a range that members may not have.
	ReasonAddressNotAllowed = "AddressNotAllowed"
	// ReasonDuplicateMember: an older registration already has this cluster.
	ReasonDuplicateMember = "DuplicateMember"
)

// Reasons of ConditionCredentialsValid.
const (
	// ReasonCredentialsValid: the member honours the credentials.
	ReasonCredentialsValid = "CredentialsValid"
	// ReasonSecretNotFound: the Secret does not exist, or lacks the label tmc.kcp.io/credentials=member.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretKeyMissing: the Secret lacks a key, or the key is empty.
	ReasonSecretKeyMissing = "SecretKeyMissing"
	// ReasonInvalidKubeconfig: the kubeconfig cannot be parsed, or lacks something.
	ReasonInvalidKubeconfig = "InvalidKubeconfig"
	// ReasonForbiddenField: the kubeconfig has a field that is not accepted; the message names it.
	ReasonForbiddenField = "ForbiddenField"
	// ReasonInvalidCredentials: a certificate, key or token cannot be parsed.
	ReasonInvalidCredentials = "InvalidCredentials"
	// ReasonCertificateExpired: the client certificate is expired or not valid yet.
	ReasonCertificateExpired = "CertificateExpired"
	// ReasonUnauthorized: the member answered 401.
	ReasonUnauthorized = "Unauthorized"
	// ReasonForbidden: the member denies a right that is needed; the message names it.
	ReasonForbidden = "Forbidden"
)

// Reasons of ConditionReachable.
const (
	// ReasonReachable: the member answers.
	ReasonReachable = "Reachable"
	// ReasonNotTried: the member was not called, since another condition forbids it.
	ReasonNotTried = "NotTried"
	// ReasonDialFailed: no connection could be made.
	ReasonDialFailed = "DialFailed"
	// ReasonTLSFailed: the member's certificate could not be verified.
	ReasonTLSFailed = "TLSFailed"
	// ReasonTimedOut: the member did not answer in time.
	ReasonTimedOut = "TimedOut"
	// ReasonInvalidResponse: the answer was not one of a Kubernetes API server, was a redirect, or was too large.
	ReasonInvalidResponse = "InvalidResponse"
	// ReasonServerError: the member answered with an error of its own.
	ReasonServerError = "ServerError"
)

// Reasons of ConditionCapacityKnown.
const (
	// ReasonCapacityKnown: nodes and pods are counted and followed.
	ReasonCapacityKnown = "CapacityKnown"
	// ReasonCounting: the first count has not ended.
	ReasonCounting = "Counting"
	// ReasonTruncated: the member has more pods, nodes or kinds of resources than are counted, so figures are too low.
	ReasonTruncated = "Truncated"
	// ReasonStale: the figures are the last known ones, since nodes and pods cannot be followed.
	ReasonStale = "Stale"
)

// Reasons of ConditionReady of a ClusterGrant.
const (
	// ReasonNothingSelected: no registration of the workspace matches.
	ReasonNothingSelected = "NothingSelected"
	// ReasonNameCollision: a borrower already has a member of that name, from its own registrations or an older grant.
	ReasonNameCollision = "NameCollision"
	// ReasonNameTooLong: registration and grant together make a name that no object can have.
	ReasonNameTooLong = "NameTooLong"
	// ReasonTooManyRows: the workspace lends more rows than one workspace may; older grants go first.
	ReasonTooManyRows = "TooManyRows"
	// ReasonInvalidSelector: clusterSelector cannot be parsed.
	ReasonInvalidSelector = "InvalidSelector"
)
