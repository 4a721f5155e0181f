using System.Text.RegularExpressions;

namespace Eigengate.Inference.Tokenization;

/// <summary>Cuts a normalized segment into the pieces that are encoded one by one.</summary>
/// <param name="text">The segment.</param>
/// <param name="first">Whether it begins the whole input.</param>
/// <param name="pieces">Receives the pieces.</param>
internal delegate void PreTokenizer(string text, bool first, List<string> pieces);

/// <summary>Reads the <c>pre_tokenizer</c> of tokenizer.json.</summary>
internal static class PreTokenizerReader
{
    /// <summary>GPT-2's words, which a ByteLevel step uses unless it says <c>use_regex: false</c>.</summary>
    private const string Gpt2Words = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    public static PreTokenizer Read(JsonField field)
    {
        if (field.IsAbsent)
            return static (text, _, pieces) => pieces.Add(text);
        var type = field["type"];
        return type.Text() switch
        {
            "Sequence" => Sequence([.. field["pretokenizers"].Items().Select(Read)]),
            "ByteLevel" => ByteLevel(field["add_prefix_space"].Flag(true), field["use_regex"].Flag(true)),
            "Split" => Split(field),
            "Digits" => Matches(field["individual_digits"].Flag(false) ? @"\p{N}" : @"\p{N}+", SplitBehavior.Isolated, type),
            "Metaspace" => Metaspace(field),
            var other => throw type.Error($"pre-tokenizer {other} is not supported"),
        };
    }

    private static PreTokenizer Sequence(PreTokenizer[] steps) => (text, first, pieces) =>
    {
        List<string> current = [text];
        foreach (var step in steps)
        {
            var next = new List<string>();
            for (var i = 0; i < current.Count; i++)
                step(current[i], first && i == 0, next);
            current = next;
        }

        pieces.AddRange(current);
    };

    private static PreTokenizer ByteLevel(bool addPrefixSpace, bool splitWords)
    {
        var words = splitWords ? new RegexSplitter(new Regex(Gpt2Words, RegexOptions.CultureInvariant), SplitBehavior.Isolated) : null;
        return (text, _, pieces) =>
        {
            if (addPrefixSpace && !text.StartsWith(' '))
                text = " " + text;
            var from = pieces.Count;
            if (words is null)
                pieces.Add(text);
            else
                words.Split(text, pieces);
            for (var i = from; i < pieces.Count; i++)
                pieces[i] = ByteAlphabet.Write(pieces[i]);
        };
    }

    private static PreTokenizer Split(JsonField field)
    {
        var pattern = field["pattern"];
        var expression = pattern["Regex"].TextOrNull() ?? Regex.Escape(pattern["String"].Text());
        var invert = field["invert"].Flag(false);
        var behavior = field["behavior"];
        return (behavior.Text(), invert) switch
        {
            // Isolated gives the same pieces whether the matches or the rest between them count as matches.
            ("Isolated", _) => Matches(expression, SplitBehavior.Isolated, pattern),
            ("Removed", false) => Matches(expression, SplitBehavior.Removed, pattern),
            ("Removed", true) => Matches(expression, SplitBehavior.RestRemoved, pattern),
            ("MergedWithPrevious", false) => Matches(expression, SplitBehavior.MergedWithPrevious, pattern),
            ("MergedWithNext", false) => Matches(expression, SplitBehavior.MergedWithNext, pattern),
            var (name, _) => throw behavior.Error($"behavior {name} with invert {invert} is not supported"),
        };
    }

    private static PreTokenizer Matches(string expression, SplitBehavior behavior, JsonField field)
    {
        var splitter = new RegexSplitter(Compile(expression, field), behavior);
        return (text, _, pieces) => splitter.Split(text, pieces);
    }

    private static Regex Compile(string expression, JsonField field)
    {
        try
        {
            return new Regex(expression, RegexOptions.CultureInvariant);
        }
        catch (ArgumentException e)
        {
            throw new TokenizerFormatException(field.File, field.Path, $"the pattern is not supported: {e.Message}", e);
        }
    }

    private static PreTokenizer Metaspace(JsonField field)
    {
        var replacement = field["replacement"].TextOrNull() ?? "\u2581";
        var scheme = field["prepend_scheme"];
        var prepend = scheme.TextOrNull() ?? (field["add_prefix_space"].Flag(true) ? "always" : "never");
        if (prepend is not ("always" or "first" or "never"))
            throw scheme.Error($"prepend scheme {prepend} is not supported");
        var splitter = field["split"].Flag(true)
            ? new RegexSplitter(new Regex(Regex.Escape(replacement), RegexOptions.CultureInvariant), SplitBehavior.MergedWithNext)
            : null;
        return (text, first, pieces) =>
        {
            text = text.Replace(" ", replacement, StringComparison.Ordinal);
            var wanted = prepend == "always" || (prepend == "first" && first);
            if (wanted && !text.StartsWith(replacement, StringComparison.Ordinal))
                text = replacement + text;
            if (splitter is null)
                pieces.Add(text);
            else
                splitter.Split(text, pieces);
        };
    }
}
