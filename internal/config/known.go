package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// node is an object of the specification: its properties, and those of its alternatives.
type node struct {
	Properties map[string]node
	OneOf      []node
}

func (n node) property(key string) (p node, ok bool) {
	p, ok = n.Properties[key]
	for i := 0; !ok && i < len(n.OneOf); i++ {
		p, ok = n.OneOf[i].property(key)
	}
	return p, ok
}

// resembles reports whether a property has that key except for case.
func (n node) resembles(key string) bool {
	for name := range n.Properties {
		if strings.EqualFold(name, key) {
			return true
		}
	}
	return slices.ContainsFunc(n.OneOf, func(o node) bool { return o.resembles(key) })
}

func (n node) isObject() bool { return n.Properties != nil || n.OneOf != nil }

// known returns the parts of a configuration that the specification has, and the other keys. Keys are case-sensitive: otherwise one in
// another case would be called unknown here, but accepted by encoding/json, without any validation. Keys without a value are also left
// out: platforms save untouched settings as null.
func known(data []byte) (clean []byte, unknown []string, err error) {
	var s struct {
		ConnectionSpecification node
	}
	if err := json.Unmarshal(specFile, &s); err != nil {
		return nil, nil, err
	}
	clean, unknown, ok := s.ConnectionSpecification.pick(data)
	if !ok {
		return nil, nil, errors.New("the configuration is not a JSON object; expected {\"host\": …, \"database\": …, \"username\": …, " +
			"\"password\": …}")
	}
	slices.Sort(unknown)
	return clean, unknown, nil
}

// pick goes no deeper than the specification. It returns false for anything that is not an object.
func (n node) pick(data []byte) (clean []byte, unknown []string, ok bool) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		return nil, nil, false
	}
	for key, value := range fields {
		property, ok := n.property(key)
		switch {
		case !ok:
			unknown = append(unknown, key)
			delete(fields, key)
		case bytes.Equal(value, []byte("null")):
			delete(fields, key)
		case property.isObject():
			inner, others, ok := property.pick(value)
			if !ok {
				continue // which the validation reports
			}
			fields[key] = inner
			for _, other := range others {
				if property.resembles(other) { // the former connector's form saves others
					unknown = append(unknown, key+"."+other)
				}
			}
		}
	}
	clean, err := json.Marshal(fields)
	return clean, unknown, err == nil
}
