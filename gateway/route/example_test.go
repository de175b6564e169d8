package route_test

import (
	"fmt"

	"github.com/weir-project/weir/gateway/route"
)

func ExampleCanonical() {
	for _, path := range []string{"/pets/%34%32", "/caf%c3%a9", "/pets/../admin", "/admin;x", "/%252e"} {
		canonical, err := route.Canonical(path)
		if err != nil {
			fmt.Println(path, "is refused:", err)
			continue
		}
		fmt.Println(path, "is", canonical)
	}
	// Output:
	// /pets/%34%32 is /pets/42
	// /caf%c3%a9 is /caf%C3%A9
	// /pets/../admin is refused: path has a dot segment
	// /admin;x is refused: path has a semicolon
	// /%252e is refused: path is escaped twice
}

func ExampleRouter_Lookup() {
	resources := []route.Resource{
		{Method: "GET", Template: "/pets/{id}"},
		{Method: "GET", Template: "/pets/mine"},
		{Method: "POST", Template: "/pets"},
		{Method: "GET", Template: "/photos/*"},
	}
	router, err := route.Build([]route.API{{Name: "petstore", Context: "/petstore/v1", Resources: resources}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, path := range []string{"/pets/7", "/pets/mine", "/pets", "/photos/a/b.jpg", "/toys"} {
		switch found := router.Lookup("/petstore/v1"+path, route.GET); {
		case found.Resource >= 0:
			fmt.Println(path, "is", resources[found.Resource].Template)
		case found.Allowed != 0:
			fmt.Println(path, "allows only", found.Allowed)
		default:
			fmt.Println(path, "is not there")
		}
	}
	// Output:
	// /pets/7 is /pets/{id}
	// /pets/mine is /pets/mine
	// /pets allows only POST
	// /photos/a/b.jpg is /photos/*
	// /toys is not there
}

func ExampleQuery() {
	query, err := route.ParseQuery("limit=10&%41piKey=weir_x&sort=name")
	if err != nil {
		fmt.Println(err)
		return
	}
	key, _ := query.Value("ApiKey")
	fmt.Println("the key is", key)
	fmt.Println("forwarded is", query.Without("ApiKey"))

	_, err = route.ParseQuery("a=1;ApiKey=x")
	fmt.Println(err)
	// Output:
	// the key is weir_x
	// forwarded is limit=10&sort=name
	// query has a semicolon
}

func ExampleHost() {
	name, port, err := route.Host("API.Example.com.:8280")
	fmt.Println(name, port, err)
	_, _, err = route.Host("admin@evil.example")
	fmt.Println(err)
	// Output:
	// api.example.com 8280 <nil>
	// host has a character that no name has
}
