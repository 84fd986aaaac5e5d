package main

import (
	"fmt"
	"math"
	"time"
)

const (
	customerCount = 6000
	orderCount    = 12_000
	linesPerOrder = 2
)

var customers = &table{
	keyspace: customer, name: "demo_customers", shardedBy: "id", key: []string{"id"}, rows: customerCount,
	columns: []column{
		{"id", "bigint unsigned", number},
		{"loyalty_number", "bigint unsigned not null", func(r row) any { return math.MaxUint64 - uint64(r.n) }},
		{"name", "varchar(80) not null", personName},
		{"email", "varchar(120) not null", text("customer%d@example.com")},
		{"born", "date", sometimes(6, func(r row) any { return moment(r).AddDate(-18-r.IntN(60), 0, 0).Format(time.DateOnly) })},
		{"language", "enum('de','en','fr','ja','español')", oneOf("de", "en", "fr", "ja", "español")},
		{"interests", "set('tea','coffee','gifts','news')", someOf("tea", "coffee", "gifts", "news")},
		{"newsletter", "bool not null", truth},
		{"points", "int not null", func(r row) any { return r.IntN(20_000) - 500 }},
		{"credit", "decimal(20,4)", func(r row) any { return fmt.Sprintf("%d.%04d", r.IntN(1000)-300, r.IntN(10_000)) }},
		{"preferences", "json", sometimes(8, preferences)},
		{"password_hash", "binary(20)", bytesOf(20)},
		{"last_ip", "varbinary(16)", bytesOf(4)},
		{"member_since", "year", func(r row) any { return 2008 + r.IntN(18) }},
		{"note", "mediumtext", sometimes(2, oneOf("prefers paper bags", "appelle toujours à midi", "電話は夕方に 📞", ""))},
		{"created_at", "datetime(6) not null", when},
		{"seen_at", "timestamp(3) null", sometimes(9, func(r row) any { return moment(r).Truncate(time.Millisecond) })},
	},
}

var addresses = &table{
	keyspace: customer, name: "demo_addresses", shardedBy: "customer_id", key: []string{"customer_id", "position"}, rows: customerCount * 3 / 2,
	columns: []column{
		{"customer_id", "bigint unsigned", func(r row) any { return 1 + (r.n-1)%customerCount }},
		{"position", "tinyint", func(r row) any { return 1 + (r.n-1)/customerCount }},
		{"street", "varchar(80) not null", func(r row) any {
			return fmt.Sprintf("%s %d", oneOf("Rue de l'Église", "Hauptstraße", "Main Street", "Calle Mayor", "Οδός Ερμού")(r), 1+r.IntN(200))
		}},
		{"postcode", "char(6)", func(r row) any { return fmt.Sprintf("%05d", r.IntN(100_000)) }},
		{"city", "varchar(40) not null", func(r row) any { return cityOf(r.n).name }},
		{"country", "char(2) not null", func(r row) any { return cityOf(r.n).country }},
		{"floor", "smallint", sometimes(3, func(r row) any { return r.IntN(20) - 1 })},
		{"hint", "tinytext", sometimes(2, oneOf("ring twice", "derrière le café", "2. Hinterhof"))},
	},
}

var orders = &table{
	keyspace: customer, name: "demo_orders", shardedBy: "customer_id", key: []string{"id"}, rows: orderCount,
	columns: []column{
		{"id", "bigint", number},
		{"customer_id", "bigint unsigned not null", func(r row) any { return customerOf(r.n) }},
		{"status", "enum('new','paid','shipped','delivered','returned') not null", oneOf("new", "paid", "shipped", "delivered", "returned")},
		{"total", "decimal(12,2) not null", func(r row) any { return money(totalOf(r.n)) }},
		{"currency", "char(3) not null", oneOf("EUR", "CHF", "JPY")},
		{"placed_at", "datetime(6) not null", func(r row) any { return placedAt(r.n) }},
		{"deliver_on", "date", func(r row) any { return placedAt(r.n).AddDate(0, 0, 1+r.IntN(9)).Format(time.DateOnly) }},
		{"deliver_at", "time", sometimes(3, func(r row) any { return fmt.Sprintf("%02d:30:00", 8+r.IntN(12)) })},
		{"shipped_at", "datetime", sometimes(2, func(r row) any { return placedAt(r.n).Add(30 * time.Hour).Truncate(time.Second) })},
		{"coupon", "varbinary(12)", sometimes(2, bytesOf(6))},
		{"greeting", "longtext", sometimes(3, oneOf("Alles Gute zum Geburtstag! 🎂", "Bon appétit", "お誕生日おめでとう"))},
	},
}

var orderLines = &table{
	keyspace: customer, name: "demo_order_lines", shardedBy: "customer_id", key: []string{"order_id", "line"}, rows: orderCount * linesPerOrder,
	columns: []column{
		{"order_id", "bigint", func(r row) any { return orderOf(r.n) }},
		{"line", "tinyint unsigned", func(r row) any { return 1 + (r.n-1)%linesPerOrder }},
		{"customer_id", "bigint unsigned not null", func(r row) any { return customerOf(orderOf(r.n)) }},
		{"product_id", "int unsigned not null", func(r row) any { return productOf(r.n) }},
		{"quantity", "smallint unsigned not null", func(r row) any { return quantityOf(r.n) }},
		{"unit_price", "decimal(10,2) not null", func(r row) any { return money(priceOf(productOf(r.n))) }},
		{"amount", "decimal(12,2) as (quantity * unit_price) stored", nil},
		{"gift_wrapped", "bool not null", truth},
	},
}

var payments = &table{
	keyspace: customer, name: "demo_payments", shardedBy: "customer_id", key: []string{"id"}, rows: orderCount,
	columns: []column{
		{"id", "binary(16) comment 'a UUID'", bytesOf(16)},
		{"customer_id", "bigint unsigned not null", func(r row) any { return customerOf(r.n) }},
		{"order_id", "bigint not null", number},
		{"method", "enum('card','transfer','voucher')", oneOf("card", "transfer", "voucher")},
		{"status", "varchar(12) not null", oneOf("settled", "settled", "settled", "open", "failed")},
		{"amount", "decimal(12,2) not null", func(r row) any { return money(totalOf(r.n)) }},
		{"cents", "decimal(30,0)", func(r row) any { return totalOf(r.n) }},
		{"risk", "float", func(r row) any { return float64(r.IntN(1000)) / 1000 }},
		{"attempts", "tinyint not null", upTo(4)},
		{"receipt", "tinyblob", sometimes(2, bytesOf(12))},
		{"paid_at", "timestamp(6) null", sometimes(5, func(r row) any { return placedAt(r.n).Add(90 * time.Second) })},
	},
}

// What more than one table needs to know about an order or one of its lines.
func customerOf(order int) int     { return 1 + roll("customer", order).IntN(customerCount) }
func placedAt(order int) time.Time { return moment(roll("placed", order)) }
func orderOf(line int) int         { return 1 + (line-1)/linesPerOrder }
func productOf(line int) int       { return 1 + roll("product", line).IntN(productCount) }
func quantityOf(line int) int      { return 1 + roll("quantity", line).IntN(5) }

// totalOf is the sum of an order's lines, in cents.
func totalOf(order int) int {
	sum := 0
	for line := (order-1)*linesPerOrder + 1; line <= order*linesPerOrder; line++ {
		sum += quantityOf(line) * priceOf(productOf(line))
	}
	return sum
}

func personName(r row) any {
	first := oneOf("Zoë", "José", "Łukasz", "Søren", "Anaïs", "Jürgen", "Emma", "さくら", "Νίκος", "Олена", "Siobhán")(r)
	last := oneOf("Müller", "García", "O'Brien", "Nowak", "Jensen", "田中", "Παπαδοπούλου", "Шевченко", "Nguyễn", "Çelik")(r)
	return fmt.Sprintf("%s %s", first, last)
}

func preferences(r row) any {
	return fmt.Sprintf(`{"theme": %q, "sizes": [%d, %d], "nested": {"deep": {"ok": %t, "名": "値"}}, "none": null}`,
		oneOf("dark", "light", "été")(r), r.IntN(10), r.IntN(10), r.IntN(2) == 0)
}
