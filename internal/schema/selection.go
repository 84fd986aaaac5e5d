package schema

import "strings"

// selection is a USE that waits for the question that it is for, with which it goes out in one packet: from far away each packet that waits
// for its answer costs time. The driver passes over the answer to USE, which has no columns.
type selection struct {
	statement string // "" for none
	alone     bool   // the server takes one statement to a packet
}

// keep reports whether a statement waits for the next question.
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

// before is the packet of a question.
func (s *selection) before(question string) string {
	if s.statement == "" {
		return question
	}
	return s.statement + ";" + question
}

// apart returns the USE of a packet that was refused for what may be its second statement, to be asked alone; "" for another packet.
func (s *selection) apart(err error) string {
	if s.statement == "" || !isNumbered(err, erParse, erSyntax) {
		return ""
	}
	use := s.statement
	s.statement, s.alone = "", true
	return use
}
