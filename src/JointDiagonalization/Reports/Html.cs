using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;

namespace Eigengate.JointDiagonalization.Reports;

/// <summary>
/// Markup made from interpolated strings: what is put into a hole is escaped unless it is markup itself, so that no
/// adapter's name can become a tag.
/// </summary>
internal readonly record struct Html(string Text)
{
    internal static readonly Html Empty = new("");

    internal static Html Of(Builder markup) => new(markup.ToString());

    /// <summary>Trusted text that is no markup, such as a style sheet.</summary>
    internal static Html Raw(string text) => new(text);

    internal static Html Join(IEnumerable<Html> parts) => new(string.Concat(parts.Select(p => p.Text)));

    public override string ToString() => Text;

    [InterpolatedStringHandler]
    internal readonly struct Builder
    {
        private readonly StringBuilder _text;

        public Builder(int literalLength, int holes) => _text = new StringBuilder(literalLength + (16 * holes));

        public void AppendLiteral(string literal) => _text.Append(literal);

        public void AppendFormatted(Html markup) => _text.Append(markup.Text);

        public void AppendFormatted(IEnumerable<Html> parts)
        {
            foreach (Html part in parts)
                _text.Append(part.Text);
        }

        public void AppendFormatted(string? text) => _text.Append(WebUtility.HtmlEncode(text));

        public void AppendFormatted<T>(T value, string? format = null)
            where T : IFormattable => _text.Append(WebUtility.HtmlEncode(value.ToString(format, CultureInfo.InvariantCulture)));

        public override string ToString() => _text.ToString();
    }
}
