package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// optionGroup is one group of the connector's options, as Airbyte's page shows them.
type optionGroup struct {
	title   string
	options []string
}

// option is the part of an option's schema that the demo reads.
type option struct {
	name    string
	Group   string          `json:"group"`
	Order   int             `json:"order"`
	Secret  bool            `json:"airbyte_secret"`
	Hidden  bool            `json:"airbyte_hidden"`
	Type    string          `json:"type"`
	Default json.RawMessage `json:"default"`
}

// parseSpec lists the options that a user sees, by group.
func parseSpec(spec json.RawMessage) ([]optionGroup, error) {
	var s struct {
		Connection struct {
			Groups     []struct{ ID, Title string } `json:"groups"`
			Properties map[string]option            `json:"properties"`
			Required   []string                     `json:"required"`
		} `json:"connectionSpecification"`
	}
	if err := json.Unmarshal(spec, &s); err != nil {
		return nil, fmt.Errorf("the specification cannot be read: %w", err)
	}
	var groups []optionGroup
	for _, g := range s.Connection.Groups {
		group := optionGroup{title: g.Title}
		for _, o := range optionsOf(s.Connection.Properties, g.ID) {
			group.options = append(group.options, o.describe(slices.Contains(s.Connection.Required, o.name)))
		}
		groups = append(groups, group)
	}
	return groups, nil
}

func optionsOf(all map[string]option, group string) []option {
	var options []option
	for name, o := range all {
		if o.Group == group && !o.Hidden {
			o.name = name
			options = append(options, o)
		}
	}
	slices.SortFunc(options, func(a, b option) int { return a.Order - b.Order })
	return options
}

func (o option) describe(required bool) string {
	var notes []string
	if required {
		notes = append(notes, "required")
	}
	if o.Secret {
		notes = append(notes, "secret")
	}
	if len(o.Default) > 0 && o.Type != "object" {
		notes = append(notes, "default "+string(o.Default))
	}
	if len(notes) == 0 {
		return o.name
	}
	return o.name + " (" + strings.Join(notes, ", ") + ")"
}
