package templates

import (
	"fmt"
	"html/template"
)

// mailFont is the system's own on every platform.
const mailFont template.CSS = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;"

// mailStyles are the looks of a mail's parts, light. Programs that drop the
// <style> element keep these; its dark colours go over them by class.
var mailStyles = map[string]struct{ class, css template.CSS }{
	"body":      {"canvas", "margin:0;padding:0;background-color:#f5f6f8;"},
	"canvas":    {"canvas", "background-color:#f5f6f8;"},
	"card":      {"card inner", "padding:32px;background-color:#ffffff;border:1px solid #e0e4ea;border-radius:10px;"},
	"brand":     {"brand", mailFont + "padding-left:10px;font-size:16px;line-height:24px;font-weight:600;color:#59606c;"},
	"h1":        {"h1", mailFont + "margin:0 0 16px;font-size:24px;line-height:32px;font-weight:700;color:#15181e;word-break:break-word;"},
	"p":         {"p", mailFont + "margin:0 0 16px;font-size:16px;line-height:24px;color:#15181e;word-break:break-word;"},
	"small":     {"small", mailFont + "margin:0 0 16px;font-size:14px;line-height:20px;color:#59606c;word-break:break-word;"},
	"a":         {"a", "color:#59606c;text-decoration:underline;"},
	"long":      {"a", "color:#59606c;text-decoration:underline;word-break:break-all;"},
	"facts":     {"rule", "margin-top:8px;border-top:1px solid #e0e4ea;"},
	"label":     {"label", mailFont + "padding:12px 16px 0 0;font-size:14px;line-height:20px;color:#59606c;vertical-align:top;width:64px;"},
	"fact":      {"fact", mailFont + "padding:12px 0 0;font-size:14px;line-height:20px;color:#15181e;vertical-align:top;word-break:break-word;"},
	"preheader": {"preheader", "display:none;max-height:0;max-width:0;overflow:hidden;opacity:0;font-size:1px;line-height:1px;mso-hide:all;"},
}

// mailStyle is the class and style of a part.
func mailStyle(part string) (template.HTMLAttr, error) {
	s, ok := mailStyles[part]
	if !ok {
		return "", fmt.Errorf("no mail style %s", part)
	}
	return template.HTMLAttr(fmt.Sprintf(`class="%s" style="%s"`, s.class, s.css)), nil
}

// Outlook on Windows lays out with Word, which knows neither max-width nor the
// padding of a link; html/template would drop its comments.
func mso() template.HTML {
	return `<!--[if mso]><xml><o:OfficeDocumentSettings xmlns:o="urn:schemas-microsoft-com:office:office"><o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml><![endif]-->`
}

func msoOpen() template.HTML {
	return `<!--[if mso]><table role="presentation" width="600" cellpadding="0" cellspacing="0" border="0"><tr><td><![endif]-->`
}

func msoClose() template.HTML { return `<!--[if mso]></td></tr></table><![endif]-->` }

func msoPad() template.HTML {
	return `<!--[if mso]><i style="letter-spacing:24px;mso-font-width:-100%;mso-text-raise:24pt">&nbsp;</i><![endif]-->`
}
