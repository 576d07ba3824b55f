module github.com/kcp-dev/code-generator/v3

go 1.26.0
