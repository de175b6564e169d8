package rule_test

import (
	"fmt"
	"net/netip"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/policy/rule"
)

func ExampleCompiler_Compile() {
	c := rule.New()
	x, err := c.Compile(`client_ip.inNetwork('10.0.0.0/8') && request.method in ['PUT', 'POST']`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(x.Holds(&weir.Request{Verb: "POST", ClientIP: netip.MustParseAddr("10.1.2.3")}))
	_, err = c.Compile(`request.method = 'POST'`)
	fmt.Println(err != nil)
	// Output:
	// true <nil>
	// true
}
