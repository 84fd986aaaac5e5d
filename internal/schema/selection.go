package schema

import "strings"

// selection is a USE that waits for the query that it is for, and is sent in the same packet: over a distance, each packet that waits for
// its answer costs time. The driver skips the answer to USE, which has no columns.
type selection struct {
	statement string // "" for none
	alone     bool   // the server takes one statement to a packet
}

// keep reports whether a statement waits for the next query.
func (s *selection) keep(statement string) bool {
	if !strings.HasPrefix(statement, "use ") {
		return false
	}
	s.statement = ""
	if s.alone || strings.Contains(statement, "?") { // which the driver would take for the place of a value
		return false
	}
	s.statement = statement
	return true
}

// before is the packet of a query.
func (s *selection) before(question string) string {
	if s.statement == "" {
		return question
	}
	return s.statement + ";" + question
}

// apart reports whether a packet was refused for what may be its second statement, so that the two have to be sent separately.
func (s *selection) apart(err error) bool {
	if s.statement == "" || !isNumbered(err, erParse, erSyntax) {
		return false
	}
	s.alone = true
	return true
}
