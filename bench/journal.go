package main

import (
	"os"
	"runtime"
)

// journal is the least that makes writes durable: they are written one behind the other, and those that wait are written
// and synced together. Its file is as long as it will be from the start, and written again from its beginning when it is
// full, so that no sync has to record a new length.
type journal struct {
	file *os.File
	jobs chan job
	at   int64
}

// job is a write that waits.
type job struct {
	text []byte
	done chan error // takes one
}

const (
	journalBytes = 64 << 20
	maxJobs      = 512
)

func openJournal(name string) (*journal, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	zeros := make([]byte, 1<<20)
	for range journalBytes / len(zeros) {
		if _, err := file.Write(zeros); err != nil {
			return nil, err
		}
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	j := &journal{file: file, jobs: make(chan job, maxJobs)}
	go j.work()
	return j, nil
}

// append makes text durable.
func (j *journal) append(text []byte) error {
	done := make(chan error, 1)
	j.jobs <- job{text, done}
	return <-done
}

func (j *journal) work() {
	var crowded bool
	for first := range j.jobs {
		batch := j.collectBatch([]job{first})
		if crowded { // let those run once who are about to come back
			runtime.Gosched()
			batch = j.collectBatch(batch)
		}
		crowded = len(batch) > 1
		err := j.write(batch)
		for _, one := range batch {
			one.done <- err
		}
	}
}

func (j *journal) collectBatch(batch []job) []job {
	for len(batch) < maxJobs {
		select {
		case one := <-j.jobs:
			batch = append(batch, one)
		default:
			return batch
		}
	}
	return batch
}

func (j *journal) write(batch []job) error {
	var text []byte
	for _, one := range batch {
		text = append(text, one.text...)
	}
	if j.at+int64(len(text)) > journalBytes {
		j.at = 0
	}
	if _, err := j.file.WriteAt(text, j.at); err != nil {
		return err
	}
	j.at += int64(len(text))
	return syncData(j.file)
}
