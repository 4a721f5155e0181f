using Eigengate.Inference.Tokenization.Unicode;

namespace Eigengate.Inference.Tokenization;

/// <summary>Rewrites a segment of text before it is split.</summary>
/// <param name="text">The segment.</param>
/// <param name="first">Whether it begins the whole input.</param>
internal delegate string TextNormalizer(string text, bool first);

/// <summary>Reads the <c>normalizer</c> of tokenizer.json.</summary>
internal static class NormalizerReader
{
    public static TextNormalizer Read(JsonField field)
    {
        if (field.IsAbsent)
            return static (text, _) => text;
        var type = field["type"];
        switch (type.Text())
        {
            case "Sequence":
                var steps = field["normalizers"].Items().Select(Read).ToArray();
                return (text, first) => steps.Aggregate(text, (t, step) => step(t, first));
            case "NFC":
                return static (text, _) => CanonicalForm.Compose(text);
            case "NFD":
                return static (text, _) => CanonicalForm.Decompose(text);
            case "Prepend":
                var prefix = field["prepend"].Text();
                return (text, _) => text.Length == 0 ? text : prefix + text;
            case "Replace":
                var pattern = field["pattern"]["String"];
                if (pattern.IsAbsent)
                    throw field["pattern"].Error("only a String pattern is supported");
                var from = pattern.Text();
                var to = field["content"].Text();
                return (text, _) => text.Replace(from, to, StringComparison.Ordinal);
            default:
                throw type.Error($"normalizer {type.Text()} is not supported");
        }
    }
}
