package app

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/sallyport-id/sallyport/identity"
	"github.com/sallyport-id/sallyport/storage"
	"github.com/sallyport-id/sallyport/templates"
)

// brand is how the installation presents itself now: what its configuration says,
// and for the rest what a superadmin has set.
type brand struct {
	mu       sync.Mutex
	fixed    templates.Brand // configured
	settings storage.BrandSettings
	name     string
}

// Brand is what the configuration says of it. A name is empty where it says nothing.
func (c *Config) Brand() (templates.Brand, error) {
	b := templates.Brand{Name: c.BrandName, Color: c.BrandColor, SupportEmail: c.SupportEmail}
	if b.Name == templates.DefaultName {
		b.Name = ""
	}
	if c.BrandLogo == "" {
		return b, nil
	}
	logo, err := os.ReadFile(c.BrandLogo)
	if err != nil {
		return b, fmt.Errorf("BRAND_LOGO: %w", err)
	}
	b.Logo, err = identity.CheckLogo(logo)
	if err != nil {
		return b, fmt.Errorf("BRAND_LOGO %s: %w", c.BrandLogo, err)
	}
	return b, nil
}

// BrandName is what this service calls itself now.
func (a *App) BrandName() string {
	a.brand.mu.Lock()
	defer a.brand.mu.Unlock()
	return cmp.Or(a.brand.name, a.Config.BrandName)
}

// newPages are the pages in the configured brand.
func (a *App) newPages() (*templates.Templates, error) {
	var err error
	if a.brand.fixed, err = a.Config.Brand(); err != nil {
		return nil, err
	}
	return templates.New(a.brand.fixed)
}

// applyBrand puts what a superadmin has set over what is not configured.
func (a *App) applyBrand(pages *templates.Templates, s storage.BrandSettings) error {
	b := &a.brand
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.settings == s {
		return nil
	}
	next := b.fixed
	next.Name, next.Color, next.Logo = cmp.Or(next.Name, s.Name), cmp.Or(next.Color, s.Color), cmp.Or(next.Logo, s.Logo)
	if err := pages.SetBrand(next); err != nil {
		return err
	}
	b.settings, b.name = s, next.Name
	return nil
}

// rebrand shows the brand that is set now. While the copy of the settings stays the same, looking at it costs nothing.
func (s *Server) rebrand(ctx context.Context) error {
	settings, err := s.app.Registry.Settings(ctx)
	if err != nil {
		return err
	}
	return s.app.applyBrand(s.pages, settings.Brand)
}
