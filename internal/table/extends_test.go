package table

import (
	"fmt"
	"strings"
	"testing"
)

func TestExtends(t *testing.T) {
	id, name := Column{Name: "id", Type: "bigint"}, Column{Name: "name", Type: "varchar(50)"}
	kind := func(members string) Column { return Column{Name: "kind", Type: "enum(" + members + ")"} }
	for _, c := range []struct {
		was, now []Column
		want     bool
	}{
		{[]Column{id, name}, []Column{id, name}, true},
		{[]Column{id}, []Column{id, name}, true},
		{[]Column{id}, []Column{name, id}, false},
		{[]Column{id, name}, []Column{id}, false},
		{[]Column{id, name}, []Column{id, {Name: "name", Type: "text"}}, false},
		{[]Column{id, name}, []Column{id, {Name: "label", Type: "varchar(50)"}}, false},
		{[]Column{kind("'a','b'")}, []Column{kind("'a','b','c'")}, true},
		{[]Column{kind("'a','b'")}, []Column{kind("'a','bc'")}, false},
		{[]Column{kind("'a','b'")}, []Column{kind("'b','a'")}, false},
		{nil, []Column{id}, true},
		{[]Column{{Name: "n", Type: "int(11)"}}, []Column{{Name: "n", Type: "int"}, name}, true}, // MySQL was upgraded
		{[]Column{{Name: "n", Type: "bigint(20) unsigned"}}, []Column{{Name: "n", Type: "bigint unsigned"}}, true},
		{[]Column{{Name: "n", Type: "bigint(20)"}}, []Column{{Name: "n", Type: "bigint unsigned"}}, false},
		{[]Column{{Name: "n", Type: "tinyint(1)"}}, []Column{{Name: "n", Type: "tinyint"}}, false},
		{[]Column{{Name: "y", Type: "year(4)"}}, []Column{{Name: "y", Type: "year"}}, true},
		{[]Column{kind("'a'")}, []Column{{Name: "kind", Type: "set('a')"}}, false},
		{[]Column{{Name: "s", Type: "text", Charset: "latin1"}}, []Column{{Name: "s", Type: "text", Charset: "utf8mb4"}}, false},
	} {
		if got := Extends(c.now, c.was); got != c.want {
			t.Errorf("%v extends %v: %v", c.now, c.was, got)
		}
	}
}

// The digest of a long type that a state stores compares like the type.
func TestExtendsDigests(t *testing.T) {
	members := make([]string, 65_535)
	for i := range members {
		members[i] = fmt.Sprintf("'label %d'", i)
	}
	enum := func(members ...string) []Column {
		return []Column{{Name: "kind", Type: "enum(" + strings.Join(members, ",") + ")"}}
	}
	was := enum(members...)
	was[0].Type = DigestType(was[0].Type)
	if len(was[0].Type) > 100 {
		t.Errorf("%d bytes are kept", len(was[0].Type))
	}
	for name, c := range map[string]struct {
		now  []Column
		want bool
	}{
		"the same":          {enum(members...), true},
		"one more":          {enum(append(members, "'new'")...), true},
		"one less":          {enum(members[1:]...), false},
		"the last one less": {enum(members[:len(members)-1]...), false},
		"a longer last one": {enum(append(members[:len(members)-1:len(members)-1], "'label 65534''s'")...), false},
		"short":             {enum("'a'"), false},
		"another type":      {[]Column{{Name: "kind", Type: "int"}}, false},
	} {
		if got := Extends(c.now, was); got != c.want {
			t.Errorf("%s: extends %v", name, got)
		}
	}
	if short := "enum('a','b')"; DigestType(short) != short {
		t.Errorf("%s is kept as %s", short, DigestType(short))
	}
}
