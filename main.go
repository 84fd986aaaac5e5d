// Command source-planetscale is the PlanetScale source for Airbyte.
package main

import (
	"os"

	"source-planetscale/internal/connector"
)

func main() { os.Exit(connector.Main()) }
