// Package peers signs in through relying parties that other people wrote, each in a process of its own with the
// smallest application around it, and tells how each must be registered and configured: docs/relying-parties.md is
// its result. It holds only tests, which run in `make peers` alone: that installs each library, in the version that
// its folder pins, from the registry of its language into the user's cache folder. It needs python3 with venv, npm,
// Maven and a JDK from 17, and Chromium.
//
// A folder has the application and the list of what it is made of. The application reads ISSUER, CLIENT_ID,
// CLIENT_SECRET and PORT, listens on the loopback address, and shows who has signed in in #user.
//
// `make peers PEER=authlib` tries one of them.
package peers
