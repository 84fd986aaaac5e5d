package main

import "fmt"

const (
	warehouseCount = 4
	productCount   = 1500
)

var warehouses = &table{
	keyspace: commerce, name: "demo_warehouses", key: []string{"id"}, rows: warehouseCount,
	columns: []column{
		{"id", "tinyint unsigned", number},
		{"code", "char(3) not null", func(r row) any { return cityOf(r.n).code }},
		{"city", "varchar(40) not null", func(r row) any { return cityOf(r.n).name }},
		{"latitude", "double", func(r row) any { return cityOf(r.n).latitude }},
		{"longitude", "double", func(r row) any { return cityOf(r.n).longitude }},
		{"area_m2", "mediumint unsigned", upTo(90_000)},
		{"coldest", "tinyint comment 'degrees Celsius'", func(r row) any { return r.IntN(30) - 20 }},
		{"opens", "time", oneOf("06:00:00", "07:30:00")},
		{"closes", "time(3)", oneOf("20:00:00", "23:59:59.5")},
		{"since", "year", func(r row) any { return 1990 + r.IntN(36) }},
		{"cooled", "bool not null", truth},
	},
}

var products = &table{
	keyspace: commerce, name: "demo_products", key: []string{"id"}, rows: productCount,
	columns: []column{
		{"id", "int unsigned", number},
		{"sku", "char(8) not null", text("SKU%05d")},
		{"name", "varchar(120) not null", productName},
		{"category", "enum('tea','coffee','chocolate','spices','crème & sugar')", oneOf("tea", "coffee", "chocolate", "spices", "crème & sugar")},
		{"tags", "set('organic','fair trade','vegan','new')", someOf("organic", "fair trade", "vegan", "new")},
		{"price", "decimal(10,2) not null", func(r row) any { return money(priceOf(r.n)) }},
		{"weight_kg", "float", func(r row) any { return fmt.Sprintf("%d.%03d", r.IntN(5), r.IntN(1000)) }},
		{"rating", "double", sometimes(5, func(r row) any { return float64(r.IntN(400))/100 + 1 })},
		{"kcal", "smallint unsigned", upTo(700)},
		{"ean", "bigint unsigned", func(r row) any { return 4_000_000_000_000 + r.Int64N(1_000_000_000_000) }},
		{"allergens", "bit(8)", upTo(256)},
		{"description", "text", sometimes(4, oneOf("Sweet and mild. 🍵", "Stark geröstet, für Espresso ☕", "苦味のあるチョコレート", "Χωρίς ζάχαρη"))},
		{"attributes", "json", productAttributes},
		{"thumbnail", "blob", sometimes(3, bytesOf(40))},
		{"launched", "date", day},
		{"active", "tinyint(1) not null", truth},
	},
}

var stock = &table{
	keyspace: commerce, name: "demo_stock", key: []string{"warehouse_id", "product_id"}, rows: warehouseCount * productCount,
	columns: []column{
		{"warehouse_id", "tinyint unsigned", func(r row) any { return 1 + (r.n-1)%warehouseCount }},
		{"product_id", "int unsigned", func(r row) any { return 1 + (r.n-1)/warehouseCount }},
		{"quantity", "mediumint not null", func(r row) any { return r.IntN(900) - 10 }},
		{"reserved", "smallint not null", upTo(9)},
		{"shelf", "varchar(8)", func(r row) any { return fmt.Sprintf("%c-%02d", 'A'+r.IntN(26), r.IntN(100)) }},
		{"counted_at", "datetime(6) not null", when},
	},
}

// priceOf is a product's price in cents.
func priceOf(product int) int { return 195 + roll("price", product).IntN(8800) }

func productName(r row) any {
	return oneOf("Darjeeling", "Maté", "Sencha 煎茶", "Kaffee Größe XL", "Café crème", "Cacao 85 %", "Πιπέρι", "Кардамон")(r).(string) +
		fmt.Sprintf(" No. %d", r.n)
}

func productAttributes(r row) any {
	return fmt.Sprintf(`{"origin": %q, "size": {"w": %d, "h": %d.5}, "roast": %s, "batches": [%d, %d]}`,
		oneOf("Côte d'Ivoire", "日本", "Perú", "Ceylon")(r), r.IntN(50), r.IntN(50),
		oneOf("null", "true", `"dark"`)(r), r.IntN(1000), int64(1)<<53+r.Int64N(1000))
}

type city struct {
	code, name, country string
	latitude, longitude float64
}

func cityOf(n int) city { return cities[n%len(cities)] }

var cities = []city{
	{"PAR", "Paris", "FR", 48.8566, 2.3522},
	{"ZRH", "Zürich", "CH", 47.3769, 8.5417},
	{"CPH", "København", "DK", 55.6761, 12.5683},
	{"LOD", "Łódź", "PL", 51.7592, 19.456},
	{"OSA", "大阪", "JP", 34.6937, 135.5023},
	{"BOG", "Bogotá", "CO", 4.711, -74.0721},
	{"ATH", "Αθήνα", "GR", 37.9838, 23.7275},
	{"YYZ", "Toronto", "CA", 43.6532, -79.3832},
}
