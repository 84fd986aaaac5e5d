package main

import (
	"net"
	"time"
)

// dirFlag is the flag that a sandbox command line needs for a folder other than its default.
func dirFlag(dir string) string {
	if shorten(dir) == ".sandbox" {
		return ""
	}
	return " --dir " + shellWord(shorten(dir))
}

// farewell says what to do next.
func (d *demo) farewell(dirFlag string, took time.Duration) {
	d.title("What next?")
	host, port, _ := net.SplitHostPort(d.sandbox.PlainMySQL)
	d.say("Change rows in this Vitess yourself:")
	d.command(shellLine([]string{d.sandbox.MySQL, "-h", host, "-P", port, "-u", "root", customer}))
	d.say("and see what the next sync brings:")
	d.command(shellLine([]string{d.program, "read", "--config", d.source.config, "--catalog", d.catalogFile(), "--state", d.stateFile(2)}))
	d.say("A PlanetScale database of your own: create a password for a branch (read-only is enough), and write source.json:")
	d.say(`  {"host": "aws.connect.psdb.cloud", "database": "…", "username": "…", "password": "pscale_pw_…"}`)
	d.command("go run main.go check --config source.json")
	d.command("go run main.go discover --config source.json | jq '" + chooseAll + "' > catalog.json")
	d.command("go run main.go read --config source.json --catalog catalog.json")
	d.say("The output of each command is in %s. Vitess keeps running; stop it with", shorten(d.dir))
	d.command("go run ./cmd/sandbox down" + dirFlag)
	d.good("the demo is done after %.1f s", took.Seconds())
}

// chooseAll is a jq filter that turns what discover prints into a configured catalog.
const chooseAll = `select(.type == "CATALOG") | {streams: [.catalog.streams[] | {stream: ., sync_mode: "incremental", ` +
	`destination_sync_mode: "append_dedup", cursor_field: .default_cursor_field}]}`
