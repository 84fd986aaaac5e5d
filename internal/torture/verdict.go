package torture

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"source-planetscale/internal/destination"
)

// Verdict judges how a run that was not killed ended: whether each stream is complete or has a failure that names it, and whether it may
// have failed. It returns the failures.
func Verdict(
	out *destination.Output, end error, p *Platform, mayFail func(stream string) bool, shaken bool,
) ([]destination.Error, *Finding) {
	if end == nil {
		for _, name := range p.Names() {
			if status := p.Streams[name].Status; status != "COMPLETE" {
				return nil, found(Silent, name, "its status is %q with exit code 0", status)
			}
		}
		if len(out.Errors) > 0 {
			return nil, found(Silent, "", "the exit code is 0, with the error %q", out.Errors[0].Message)
		}
		return nil, nil
	}
	if len(out.Errors) == 0 {
		return nil, found(Silent, "", "%v", end)
	}
	named, all := map[string]bool{}, false
	for _, e := range out.Errors {
		if f := deserved(e, mayFail, shaken); f != nil {
			return nil, f
		}
		if e.Stream != nil {
			named[e.Stream.Name] = true
		} else {
			all = true
		}
	}
	for _, name := range p.Names() {
		if status := p.Streams[name].Status; status != "COMPLETE" && !named[name] && !all {
			return nil, found(Silent, name, "its status is %q, and no error names it", status)
		}
	}
	return out.Errors, nil
}

// Stopped judges the failures of a run that was killed or told to stop: what it reported had to have a reason. That something was not done
// in time is one.
func Stopped(out *destination.Output, mayFail func(stream string) bool) *Finding {
	for _, e := range out.Errors {
		if f := deserved(e, mayFail, true); f != nil {
			return f
		}
	}
	return nil
}

func deserved(e destination.Error, mayFail func(string) bool, shaken bool) *Finding {
	stream := ""
	if e.Stream != nil {
		stream = e.Stream.Name
	}
	switch {
	case e.FailureType == "system_error":
		return found(Undeserved, stream, "system_error: %s (%.500s)", e.Message, e.InternalMessage)
	case stream != "" && mayFail(stream), shaken && e.FailureType == "transient_error":
		return nil
	}
	return found(Undeserved, stream, "%s: %s (%.500s)", e.FailureType, e.Message, e.InternalMessage)
}

// Warned are the streams that a run's log says to refresh, because rows were lost silently.
func Warned(out *destination.Output, p *Platform, mayFail func(stream string) bool) ([]string, *Finding) {
	var names []string
	for _, l := range out.Logs {
		if l.Level != "WARN" || !strings.HasSuffix(l.Message, "refresh the stream.") {
			continue
		}
		named := false
		for _, name := range p.Names() {
			if !slices.Contains(strings.FieldsFunc(l.Message, notOfName), name) {
				continue
			}
			if named = true; !mayFail(name) {
				return nil, found(Undeserved, name, "the log says %q", l.Message)
			}
			names = append(names, name)
		}
		if !named {
			return nil, found(NoRemedy, "", "the log has %q, which names no known stream", l.Message)
		}
	}
	return names, nil
}

func notOfName(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }

var encoded = regexp.MustCompile(`[A-Za-z0-9+/]{8,}={0,2}`)

// Leaks looks for values of rows where none may be: in logs and failures, and in states of tables without a key.
func Leaks(out *destination.Output, p *Platform) *Finding {
	for _, l := range out.Logs {
		if strings.Contains(l.Message, Mark) {
			return found(Leak, "", "the log says %q", l.Message)
		}
	}
	for _, e := range out.Errors {
		if strings.Contains(e.Message+e.InternalMessage, Mark) {
			return found(Leak, "", "a failure says %q, %q", e.Message, e.InternalMessage)
		}
	}
	for _, s := range out.States {
		stream := p.Streams[s.Stream.Name]
		if stream == nil || len(stream.Key) > 0 {
			continue
		}
		if holds(string(s.Message)) {
			return found(Leak, s.Stream.Name, "a state of a table without key has a row: %s", s.Message)
		}
	}
	return nil
}

// holds reports whether a text has the mark, as it is or in base64.
func holds(text string) bool {
	if strings.Contains(text, Mark) {
		return true
	}
	for _, word := range encoded.FindAllString(text, -1) {
		if data, err := base64.StdEncoding.DecodeString(word); err == nil && strings.Contains(string(data), Mark) {
			return true
		}
	}
	return false
}
