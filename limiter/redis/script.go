package redis

import _ "embed"

// The script that carries out a batch, in parts: each uses what those before it define.
var (
	//go:embed script/begin.lua
	scriptBegin string
	//go:embed script/windows.lua
	scriptWindows string
	//go:embed script/sliding.lua
	scriptSliding string
	//go:embed script/buckets.lua
	scriptBuckets string
	//go:embed script/batch.lua
	scriptBatch string

	script = scriptBegin + scriptWindows + scriptSliding + scriptBuckets + scriptBatch
)
