using System.Buffers;

namespace Eigengate.Inference.Tokenization;

/// <summary>A token that is matched in the text as it is written.</summary>
/// <param name="Special">Left out of decoded text on request.</param>
/// <param name="Normalized">Matched in the normalized text, in its own normalized form.</param>
/// <param name="StripLeft">Swallows white space before it; <paramref name="StripRight"/> likewise after it.</param>
internal sealed record AddedToken(int Id, string Content, bool Special, bool Normalized, bool StripLeft, bool StripRight);

/// <summary>Either text to tokenize or, when Text is null, the token that stands there.</summary>
internal readonly record struct TextSegment(string? Text, int TokenId, bool First);

/// <summary>Cuts added tokens out of a text: leftmost first, the longest of those that start at one place.</summary>
internal sealed class AddedTokens
{
    private readonly Dictionary<char, (string Pattern, AddedToken Token)[]> _byFirstCharacter;
    private readonly SearchValues<char> _firstCharacters;

    public AddedTokens(IEnumerable<(string Pattern, AddedToken Token)> tokens)
    {
        _byFirstCharacter = tokens.Where(t => t.Pattern.Length > 0)
            .GroupBy(t => t.Pattern[0])
            .ToDictionary(g => g.Key, g => g.OrderByDescending(t => t.Pattern.Length).ToArray());
        _firstCharacters = SearchValues.Create([.. _byFirstCharacter.Keys]);
    }

    /// <summary>The non-empty segments of a text; <paramref name="first"/> says whether the text begins the whole input.</summary>
    public IEnumerable<TextSegment> Split(string text, bool first)
    {
        var done = 0;
        for (var at = 0; at < text.Length;)
        {
            var candidate = text.AsSpan(at).IndexOfAny(_firstCharacters);
            if (candidate < 0)
                break;
            at += candidate;
            if (Match(text, at) is not { } match)
            {
                at++;
                continue;
            }

            var start = at;
            while (match.Token.StripLeft && start > done && char.IsWhiteSpace(text[start - 1]))
                start--;
            if (start > done)
                yield return new TextSegment(text[done..start], -1, first && done == 0);
            yield return new TextSegment(null, match.Token.Id, false);
            at += match.Pattern.Length;
            while (match.Token.StripRight && at < text.Length && char.IsWhiteSpace(text[at]))
                at++;
            done = at;
        }

        if (done < text.Length)
            yield return new TextSegment(done == 0 ? text : text[done..], -1, first && done == 0);
    }

    private (string Pattern, AddedToken Token)? Match(string text, int at)
    {
        foreach (var candidate in _byFirstCharacter[text[at]])
        {
            if (string.CompareOrdinal(text, at, candidate.Pattern, 0, candidate.Pattern.Length) == 0)
                return candidate;
        }

        return null;
    }
}
