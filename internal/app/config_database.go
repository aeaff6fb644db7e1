package app

import (
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/sallyport-id/sallyport/internal/redis"
)

// parseDatabaseURL checks the kind of database and, for PostgreSQL, brings the
// URL into the form lib/pq reads. Errors never quote it: it may hold a password.
func parseDatabaseURL(text string) (string, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return "", errors.New("must begin with sqlite:// or postgres://")
	}
	// SQLAlchemy writes its driver into the scheme: postgresql+psycopg2://.
	scheme, _, _ = strings.Cut(scheme, "+")
	switch scheme {
	case "sqlite":
		if rest == "" {
			return "", errors.New("names no file after sqlite://")
		}
		return "sqlite://" + rest, nil
	case "postgres", "postgresql":
		return parsePostgresURL("postgres://" + rest)
	}
	return "", errors.New("must begin with sqlite:// or postgres://")
}

func parsePostgresURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", errors.New("is not a URL (characters such as @ : / ? # in a password are written %40 and so on)")
	}
	if strings.Trim(u.Path, "/") == "" {
		return "", errors.New("names no database after the host")
	}
	query := u.Query()
	splitHosts(u, query)
	if query.Get("sslmode") == "" {
		// lib/pq may change its default, so the choice is made here: nothing leaves the
		// machine unencrypted, or for a server that is not verified, unless the operator
		// says so.
		query.Set("sslmode", "verify-full")
		if localDatabase(u, query) {
			query.Set("sslmode", "disable")
		}
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// splitHosts turns host1:5432,host2:5433 into the one form of several hosts
// with ports that lib/pq understands.
func splitHosts(u *url.URL, query url.Values) {
	if !strings.Contains(u.Host, ",") {
		return
	}
	var hosts, ports []string
	given := false
	for _, part := range strings.Split(u.Host, ",") {
		host, port, err := net.SplitHostPort(part)
		if err != nil {
			host, port = part, "5432"
		} else {
			given = true
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	if !given {
		return
	}
	u.Host = strings.Join(hosts, ",")
	query.Set("port", strings.Join(ports, ","))
}

// unverifiedDatabase is the warning for a database beyond this machine whose server need not prove who it is, "" for
// none: the operator has said so, and may have copied it from elsewhere.
func unverifiedDatabase(databaseURL string) string {
	u, err := url.Parse(databaseURL)
	if err != nil || u.Scheme != "postgres" {
		return ""
	}
	query := u.Query()
	mode := query.Get("sslmode")
	if mode == "verify-full" || localDatabase(u, query) {
		return ""
	}
	return "sslmode=" + mode + " in DATABASE_URL does not verify the server, so somebody on the way to it could take its place and read everything; " +
		"use verify-full, with sslrootcert=FILE for a private authority, unless nobody else is on that network"
}

// localDatabase reports whether no host is beyond this machine; a path is a
// Unix socket. The driver goes by the query too, whatever the host before it is.
func localDatabase(u *url.URL, query url.Values) bool {
	for _, host := range strings.Split(u.Host+","+query.Get("host")+","+query.Get("hostaddr"), ",") {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if host != "" && !strings.HasPrefix(host, "/") && !loopbackHost(strings.Trim(host, "[]")) {
			return false
		}
	}
	return true
}

// fillDatabase gives the URL the user and password it lacks.
func (l *loader) fillDatabase(c *Config, values map[string]value) {
	if !strings.HasPrefix(c.DatabaseURL, "postgres://") {
		return
	}
	u, err := url.Parse(c.DatabaseURL)
	if err != nil {
		l.fault("DATABASE_URL", "is not a URL", settingFor("DATABASE_URL").sample())
		return
	}
	user, password := values["POSTGRES_USER"].text, values["POSTGRES_PASSWORD"].text
	if u.User != nil {
		if name := u.User.Username(); name != "" {
			user = name
		}
		if p, set := u.User.Password(); set {
			password = p
		}
	}
	switch {
	case password != "":
		u.User = url.UserPassword(user, password)
	case user != "":
		u.User = url.User(user)
	}
	c.DatabaseURL = u.String()
}

// parseRedisURL checks the kind; the hosts are the client's to judge.
func parseRedisURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", errors.New("is not a URL")
	}
	kind, mode, _ := strings.Cut(u.Scheme, "+")
	if (kind != "redis" && kind != "rediss") || (mode != "" && mode != "cluster" && mode != "sentinel") {
		return "", errors.New("must begin with redis:// or rediss://, with +cluster or +sentinel for those")
	}
	if u.Host == "" {
		return "", errors.New("has no host")
	}
	return text, redis.CheckURL(text)
}
