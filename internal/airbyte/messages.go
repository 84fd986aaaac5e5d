// Package airbyte implements the Airbyte protocol (version 0.2.0): the messages that a source prints to stdout, one JSON document per
// line, and the catalog and state files that it gets. It knows nothing about databases, and imports no other package of the program.
//
// Whatever writes returns its error; the first write error is final (see Writer).
package airbyte

import "encoding/json"

// StreamDescriptor names a stream.
type StreamDescriptor struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

func (d StreamDescriptor) String() string {
	if d.Namespace == "" {
		return d.Name
	}
	return d.Namespace + "." + d.Name
}

// message is the envelope of everything but RECORD, which Batch appends by hand.
type message struct {
	Type             string            `json:"type"`
	Log              *logMessage       `json:"log,omitempty"`
	Spec             json.RawMessage   `json:"spec,omitempty"`
	ConnectionStatus *connectionStatus `json:"connectionStatus,omitempty"`
	Catalog          *Catalog          `json:"catalog,omitempty"`
	State            *stateMessage     `json:"state,omitempty"`
	Trace            *trace            `json:"trace,omitempty"`
}

type logMessage struct {
	Level   string `json:"level"`
	Message string `json:"message"`
}

type connectionStatus struct {
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
}

// stateMessage is always of type STREAM. The platform rejects LEGACY, and turning STREAM into GLOBAL requires a reset.
type stateMessage struct {
	Type        string       `json:"type"`
	Stream      streamState  `json:"stream"`
	SourceStats *sourceStats `json:"sourceStats"`
}

type streamState struct {
	Descriptor StreamDescriptor `json:"stream_descriptor"`
	State      json.RawMessage  `json:"stream_state"`
}

type sourceStats struct {
	// RecordCount counts the stream's records since its last STATE. The protocol requires a number with a decimal point.
	RecordCount decimal `json:"recordCount"`
}

type decimal int64

func (d decimal) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(int64(d))
	return append(b, ".0"...), err
}

type trace struct {
	Type         string        `json:"type"`
	EmittedAt    int64         `json:"emitted_at"` // milliseconds since 1970
	Error        *TraceError   `json:"error,omitempty"`
	Estimate     *Estimate     `json:"estimate,omitempty"`
	StreamStatus *streamStatus `json:"stream_status,omitempty"`
}

// FailureType tells the platform whether a retry can help: it does not retry a first config_error.
type FailureType string

// The protocol's failure types.
const (
	ConfigError    FailureType = "config_error"
	TransientError FailureType = "transient_error"
	SystemError    FailureType = "system_error"
)

// TraceError is the payload of an ERROR trace. Message is for a person and says what to do; InternalMessage has the rest.
type TraceError struct {
	Message         string            `json:"message"`
	InternalMessage string            `json:"internal_message,omitempty"`
	FailureType     FailureType       `json:"failure_type"`
	Stream          *StreamDescriptor `json:"stream_descriptor,omitempty"`
}

// Estimate is the payload of an ESTIMATE trace of one stream.
type Estimate struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
	Type      string `json:"type"`
	Rows      int64  `json:"row_estimate"`
	Bytes     int64  `json:"byte_estimate"`
}

// Status is a stream's progress. The platform requires STARTED, RUNNING, then COMPLETE or INCOMPLETE for each configured stream.
type Status string

// The protocol's stream statuses.
const (
	Started    Status = "STARTED"
	Running    Status = "RUNNING"
	Complete   Status = "COMPLETE"
	Incomplete Status = "INCOMPLETE"
)

type streamStatus struct {
	Descriptor StreamDescriptor `json:"stream_descriptor"`
	Status     Status           `json:"status"`
}
