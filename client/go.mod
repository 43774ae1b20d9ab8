module github.com/pimsd/pimsd/client

go 1.23
