using System.Globalization;
using System.Numerics;
using System.Text;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Runtime;

/// <summary>Python's str() and repr().</summary>
internal static class ValueText
{
    public static string Str(RenderState state, object? value)
    {
        switch (value)
        {
            case string text:
                return text;
            case Undefined:
                return "";
            default:
                var builder = new TextBuilder(state);
                Write(state, builder, value);
                return builder.ToString();
        }
    }

    public static string Repr(RenderState state, object? value)
    {
        var builder = new TextBuilder(state);
        Write(state, builder, value);
        return builder.ToString();
    }

    private static void Write(RenderState state, TextBuilder text, object? value)
    {
        state.EnsureStack();
        switch (value)
        {
            case null: text.Append("None"); break;
            case bool flag: text.Append(flag ? "True" : "False"); break;
            case long number: text.Append(number.ToString(CultureInfo.InvariantCulture)); break;
            case BigInteger number: text.Append(number.ToString(CultureInfo.InvariantCulture)); break;
            case double number: text.Append(RealText.Repr(number)); break;
            case string characters: WriteQuoted(text, characters); break;
            case Undefined: text.Append("Undefined"); break;
            case ListValue list:
                WriteItems(state, text.Append("["), list);
                text.Append("]");
                break;
            case TupleValue tuple:
                WriteItems(state, text.Append("("), tuple);
                text.Append(tuple.Items.Count == 1 ? ",)" : ")");
                break;
            case DictValue dict: WriteDict(state, text, dict); break;
            case RangeValue range:
                text.Append(string.Create(CultureInfo.InvariantCulture, $"range({range.Start}, {range.Stop}"));
                text.Append(range.Step == 1 ? ")" : string.Create(CultureInfo.InvariantCulture, $", {range.Step})"));
                break;
            case NamespaceValue space:
                text.Append("<Namespace ");
                WriteDict(state, text, space.Attributes);
                text.Append(">");
                break;
            default: text.Append($"<{Kinds.Name(value)}>"); break;
        }
    }

    private static void WriteItems(RenderState state, TextBuilder text, SequenceValue sequence)
    {
        for (int i = 0; i < sequence.Items.Count; i++)
        {
            if (i > 0)
                text.Append(", ");
            Write(state, text, sequence.Items[i]);
        }
    }

    private static void WriteDict(RenderState state, TextBuilder text, DictValue dict)
    {
        text.Append("{");
        string separator = "";
        foreach ((object? key, object? value) in dict.Entries)
        {
            text.Append(separator);
            Write(state, text, key);
            text.Append(": ");
            Write(state, text, value);
            separator = ", ";
        }

        text.Append("}");
    }

    private static void WriteQuoted(TextBuilder text, string value)
    {
        char quote = value.Contains('\'', StringComparison.Ordinal) && !value.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        text.Append(quote);
        for (int i = 0; i < value.Length;)
        {
            if (!Rune.TryGetRuneAt(value, i, out Rune rune))
            {
                text.Append(Hex("\\u", value[i++], 4));
                continue;
            }

            i += rune.Utf16SequenceLength;
            switch (rune.Value)
            {
                case '\n': text.Append("\\n"); break;
                case '\r': text.Append("\\r"); break;
                case '\t': text.Append("\\t"); break;
                case '\\': text.Append("\\\\"); break;
                case int c when c == quote: text.Append(['\\', quote]); break;
                case int when PythonText.IsPrintable(rune): text.Append(rune.ToString()); break;
                case < 0x100: text.Append(Hex("\\x", rune.Value, 2)); break;
                case < 0x10000: text.Append(Hex("\\u", rune.Value, 4)); break;
                default: text.Append(Hex("\\U", rune.Value, 8)); break;
            }
        }

        text.Append(quote);
    }

    private static string Hex(string prefix, int value, int digits) =>
        prefix + value.ToString("x" + digits, CultureInfo.InvariantCulture);
}
