using System.Text.Json;

namespace Eigengate.Inference.Tokenization;

/// <summary>A JSON value that knows where it came from, so that every error can name its file and field.</summary>
internal readonly record struct JsonField(string File, string Path, JsonElement Value)
{
    private const int MaxTokenId = (1 << 24) - 1;

    public bool IsAbsent => Value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null;

    /// <summary>The object in a file; an absent field when the file does not exist.</summary>
    public static JsonField ReadFile(string file)
    {
        if (!System.IO.File.Exists(file))
            return new JsonField(file, "", default);
        try
        {
            using var document = JsonDocument.Parse(System.IO.File.ReadAllBytes(file));
            var root = new JsonField(file, "", document.RootElement.Clone());
            return root.Value.ValueKind == JsonValueKind.Object ? root : throw root.Error("is not a JSON object");
        }
        catch (JsonException e)
        {
            throw new TokenizerFormatException(file, "$", $"is not valid JSON: {e.Message}", e);
        }
    }

    public JsonField this[string name]
    {
        get
        {
            var path = Path.Length == 0 ? name : $"{Path}.{name}";
            if (IsAbsent)
                return new JsonField(File, path, default);
            if (Value.ValueKind != JsonValueKind.Object)
                throw Error("is not an object");
            return new JsonField(File, path, Value.TryGetProperty(name, out var value) ? value : default);
        }
    }

    public string Text() => Value.ValueKind == JsonValueKind.String ? Decoded(static v => v.GetString()!, Value) : throw Error("is not a string");

    public string? TextOrNull() => IsAbsent ? null : Text();

    /// <summary>An integer that can be a token id; the limit keeps a broken file from asking for gigabytes.</summary>
    public int TokenId() =>
        Integer() is >= 0 and <= MaxTokenId and var id ? id : throw Error($"is not a token id between 0 and {MaxTokenId}");

    public int Integer() =>
        Value.ValueKind == JsonValueKind.Number && Value.TryGetInt32(out var number) ? number : throw Error("is not an integer");

    public bool Flag(bool whenAbsent) => Value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ when IsAbsent => whenAbsent,
        _ => throw Error("is not true or false"),
    };

    /// <summary>The elements of an array; none when absent.</summary>
    public IEnumerable<JsonField> Items()
    {
        if (IsAbsent)
            yield break;
        if (Value.ValueKind != JsonValueKind.Array)
            throw Error("is not an array");
        var index = 0;
        foreach (var item in Value.EnumerateArray())
            yield return new JsonField(File, $"{Path}[{index++}]", item);
    }

    /// <summary>The members of an object; none when absent.</summary>
    public IEnumerable<(string Name, JsonField Field)> Members()
    {
        if (IsAbsent)
            yield break;
        if (Value.ValueKind != JsonValueKind.Object)
            throw Error("is not an object");
        foreach (var member in Value.EnumerateObject())
        {
            var name = Decoded(static m => m.Name, member);
            yield return (name, new JsonField(File, $"{Path}.{name}", member.Value));
        }
    }

    /// <summary>Escapes of half a surrogate pair are found only when a string is read.</summary>
    private string Decoded<T>(Func<T, string> read, T source)
    {
        try
        {
            return read(source);
        }
        catch (InvalidOperationException e)
        {
            throw new TokenizerFormatException(File, Path, "has a string that is not valid Unicode", e);
        }
    }

    public TokenizerFormatException Error(string problem) => new(File, Path.Length == 0 ? "$" : Path, problem);
}
