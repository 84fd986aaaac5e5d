package schema

import "fmt"

// Warning says what a cascade means for the stream of its child.
func (c Cascade) Warning() string {
	return fmt.Sprintf("Table %s has a foreign key to %s with %s, "+
		"which InnoDB carries out without writing the changed rows of %s to the binary log: "+
		"rows that it deletes or changes stay as they were at the destination. "+
		"Delete and change such rows with statements of their own, or refresh the stream regularly.", c.Child, c.Parent, c.rules(), c.Child)
}
