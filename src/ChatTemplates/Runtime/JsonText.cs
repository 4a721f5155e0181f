using System.Globalization;
using System.Numerics;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Runtime;

/// <summary>JSON the way Python's json.dumps writes it, including separators and number forms.</summary>
internal sealed class JsonText(RenderState state, string? indent, string itemSeparator, string keySeparator, bool ascii, bool sortKeys)
{
    private readonly TextBuilder _text = new(state);

    public string Dump(object? value)
    {
        Write(value, 1);
        return _text.ToString();
    }

    private void Write(object? value, int depth)
    {
        state.EnsureStack();
        switch (value)
        {
            case null or bool or long or BigInteger or double: _text.Append(Scalar(value)); break;
            case string text: WriteString(text); break;
            case SequenceValue { Items.Count: 0 }: _text.Append("[]"); break;
            case DictValue { Count: 0 }: _text.Append("{}"); break;
            case SequenceValue sequence: WriteList(sequence, depth); break;
            case DictValue dict: WriteDict(dict, depth); break;
            default: throw state.Fail($"'{Kinds.Name(Kinds.Defined(state, value))}' cannot be written as JSON");
        }
    }

    private static string Scalar(object? value) => value switch
    {
        null => "null",
        bool flag => flag ? "true" : "false",
        long number => number.ToString(CultureInfo.InvariantCulture),
        BigInteger number => number.ToString(CultureInfo.InvariantCulture),
        double.NaN => "NaN",
        double number when double.IsInfinity(number) => number > 0 ? "Infinity" : "-Infinity",
        double number => RealText.Repr(number),
        _ => throw new InvalidOperationException(),
    };

    private void WriteList(SequenceValue sequence, int depth)
    {
        _text.Append("[");
        for (int i = 0; i < sequence.Items.Count; i++)
        {
            Separate(first: i == 0, depth);
            Write(sequence.Items[i], depth + 1);
        }

        NewLine(depth - 1);
        _text.Append("]");
    }

    private void WriteDict(DictValue dict, int depth)
    {
        IEnumerable<(object? Key, object? Value)> entries = dict.Entries;
        if (sortKeys)
            entries = entries.OrderBy(e => e.Key, Comparer<object?>.Create((a, b) => Comparison.Order(state, a, b) ?? 0));
        _text.Append("{");
        bool first = true;
        foreach ((object? key, object? value) in entries)
        {
            Separate(first, depth);
            first = false;
            WriteString(key as string ?? Scalar(key));
            _text.Append(keySeparator);
            Write(value, depth + 1);
        }

        NewLine(depth - 1);
        _text.Append("}");
    }

    private void Separate(bool first, int depth)
    {
        if (!first)
            _text.Append(itemSeparator);
        NewLine(depth);
    }

    private void NewLine(int depth)
    {
        if (indent is null)
            return;
        _text.Append("\n");
        for (int i = 0; i < depth; i++)
            _text.Append(indent);
    }

    private void WriteString(string text)
    {
        _text.Append("\"");
        int plain = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (Escape(text[i]) is not { } escape)
                continue;
            _text.Append(text.AsSpan(plain, i - plain)).Append(escape);
            plain = i + 1;
        }

        _text.Append(text.AsSpan(plain)).Append("\"");
    }

    private string? Escape(char c) => c switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\f' => "\\f",
        '\b' => "\\b",
        < ' ' => Hex(c),
        > '~' when ascii => Hex(c),
        _ => null,
    };

    private static string Hex(char c) => "\\u" + ((int)c).ToString("x4", CultureInfo.InvariantCulture);
}
