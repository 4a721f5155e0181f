using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Eigengate.Inference.Tokenization;

/// <summary>What happens to the matches of a splitting pattern.</summary>
internal enum SplitBehavior
{
    /// <summary>Matches and the text between them are pieces.</summary>
    Isolated,

    /// <summary>Matches are dropped.</summary>
    Removed,

    /// <summary>The text between matches is dropped.</summary>
    RestRemoved,

    /// <summary>A match ends the piece it stands in.</summary>
    MergedWithPrevious,

    /// <summary>A match begins a piece.</summary>
    MergedWithNext,
}

/// <summary>Cuts a text by a regular expression that sees code points, not UTF-16 units.</summary>
internal sealed class RegexSplitter(Regex pattern, SplitBehavior behavior)
{
    public void Split(string text, List<string> pieces)
    {
        var (subject, offsets) = OneCharacterPerCodePoint(text);
        var done = behavior == SplitBehavior.RestRemoved ? subject.Length : 0;
        foreach (var match in pattern.EnumerateMatches(subject))
        {
            if (match.Length == 0)
                continue;
            var start = match.Index;
            var end = start + match.Length;
            switch (behavior)
            {
                case SplitBehavior.Isolated:
                    Add(done, start);
                    Add(start, end);
                    done = end;
                    break;
                case SplitBehavior.Removed:
                    Add(done, start);
                    done = end;
                    break;
                case SplitBehavior.RestRemoved:
                    Add(start, end);
                    break;
                case SplitBehavior.MergedWithPrevious:
                    Add(done, end);
                    done = end;
                    break;
                default:
                    Add(done, start);
                    done = start;
                    break;
            }
        }

        Add(done, subject.Length);

        void Add(int from, int to)
        {
            if (to > from)
                pieces.Add(offsets is null ? text[from..to] : text[offsets[from]..offsets[to]]);
        }
    }

    /// <summary>
    /// .NET matches UTF-16 units, so a letter outside the basic plane would not be a \p{L}. Such a code point is shown to
    /// the pattern as one rare character of the same category. Offsets lead back to the text; null when they are equal.
    /// </summary>
    private static (string Subject, int[]? Offsets) OneCharacterPerCodePoint(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
            return (text, null);
        var subject = new StringBuilder(text.Length);
        var offsets = new List<int>(text.Length + 1);
        for (var at = 0; at < text.Length;)
        {
            offsets.Add(at);
            var whole = Rune.DecodeFromUtf16(text.AsSpan(at), out var rune, out var consumed) == OperationStatus.Done;
            subject.Append(whole ? StandIn(rune) : '\uFFFD');
            at += consumed;
        }

        offsets.Add(text.Length);
        return (subject.ToString(), [.. offsets]);
    }

    private static char StandIn(Rune rune) => rune.IsBmp ? (char)rune.Value : Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.UppercaseLetter => '\u0200',
        UnicodeCategory.LowercaseLetter => '\u0201',
        UnicodeCategory.TitlecaseLetter => '\u01C5',
        UnicodeCategory.ModifierLetter => '\u02B0',
        UnicodeCategory.OtherLetter => '\u01BB',
        UnicodeCategory.NonSpacingMark => '\u0300',
        UnicodeCategory.SpacingCombiningMark => '\u0903',
        UnicodeCategory.EnclosingMark => '\u0488',
        UnicodeCategory.DecimalDigitNumber => '\u0660',
        UnicodeCategory.LetterNumber => '\u2160',
        UnicodeCategory.OtherNumber => '\u00B2',
        UnicodeCategory.ConnectorPunctuation => '\u203F',
        UnicodeCategory.DashPunctuation => '\u2010',
        UnicodeCategory.OpenPunctuation => '\u0F3A',
        UnicodeCategory.ClosePunctuation => '\u0F3B',
        UnicodeCategory.InitialQuotePunctuation => '\u00AB',
        UnicodeCategory.FinalQuotePunctuation => '\u00BB',
        UnicodeCategory.OtherPunctuation => '\u00A1',
        UnicodeCategory.MathSymbol => '\u00B1',
        UnicodeCategory.CurrencySymbol => '\u00A3',
        UnicodeCategory.ModifierSymbol => '\u00A8',
        UnicodeCategory.OtherSymbol => '\u00A9',
        UnicodeCategory.Format => '\u00AD',
        UnicodeCategory.PrivateUse => '\uE000',
        _ => '\u0378',
    };
}
