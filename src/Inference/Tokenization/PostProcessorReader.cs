namespace Eigengate.Inference.Tokenization;

/// <summary>Reads the <c>post_processor</c> of tokenizer.json: the ids put around a single text.</summary>
internal static class PostProcessorReader
{
    public static (IReadOnlyList<int> Prefix, IReadOnlyList<int> Suffix) Read(JsonField field)
    {
        if (field.IsAbsent)
            return ([], []);
        var type = field["type"];
        switch (type.Text())
        {
            case "ByteLevel":
                // It only trims the offsets, which are not reported.
                return ([], []);
            case "Sequence":
                var parts = field["processors"].Items().Select(Read).ToList();
                return ([.. parts.AsEnumerable().Reverse().SelectMany(p => p.Prefix)], [.. parts.SelectMany(p => p.Suffix)]);
            case "TemplateProcessing":
                return ReadTemplate(field);
            default:
                throw type.Error($"post-processor {type.Text()} is not supported");
        }
    }

    private static (IReadOnlyList<int> Prefix, IReadOnlyList<int> Suffix) ReadTemplate(JsonField field)
    {
        List<int> prefix = [];
        List<int> suffix = [];
        var texts = 0;
        foreach (var item in field["single"].Items())
        {
            if (!item["Sequence"].IsAbsent)
            {
                texts++;
                continue;
            }

            var name = item["SpecialToken"]["id"].Text();
            var ids = field["special_tokens"][name]["ids"];
            if (ids.IsAbsent)
                throw item.Error($"'{name}' is not among special_tokens");
            (texts == 0 ? prefix : suffix).AddRange(ids.Items().Select(id => id.TokenId()));
        }

        return texts == 1 ? (prefix, suffix) : throw field["single"].Error("must hold the text exactly once");
    }
}
