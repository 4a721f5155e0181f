using System.Numerics;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Runtime;

/// <summary>What a value is: its Python type name, truth, number and items.</summary>
internal static class Kinds
{
    public static string Name(object? value) => value switch
    {
        null => "NoneType",
        string => "str",
        bool => "bool",
        long or BigInteger => "int",
        double => "float",
        ListValue => "list",
        TupleValue => "tuple",
        DictValue => "dict",
        RangeValue => "range",
        IteratorValue => "generator",
        NamespaceValue => "Namespace",
        LoopValue => "LoopContext",
        Undefined => "Undefined",
        MacroValue => "Macro",
        _ => "function",
    };

    public static bool IsTrue(RenderState state, object? value)
    {
        if (value is Undefined or null)
            return false;
        return value switch
        {
            bool flag => flag,
            string text => text.Length > 0,
            long number => number != 0,
            BigInteger number => !number.IsZero,
            double number => number != 0,
            SequenceValue sequence => sequence.Items.Count > 0,
            DictValue dict => dict.Count > 0,
            RangeValue range => range.Count > 0,
            LoopValue loop => loop.Count > 0,
            _ => true,
        };
    }

    /// <summary>Python's numeric tower without complex numbers: bool counts as int.</summary>
    public static bool IsNumber(object? value) => value is bool or long or double or BigInteger;

    public static bool TryInteger(object? value, out long number)
    {
        number = value switch { bool flag => flag ? 1 : 0, long integer => integer, _ => 0 };
        return value is bool or long;
    }

    public static double ToDouble(object? number) => number switch
    {
        bool flag => flag ? 1 : 0,
        long integer => integer,
        BigInteger integer => (double)integer,
        double real => real,
        _ => throw new InvalidOperationException("not a number"),
    };

    public static object? Defined(RenderState state, object? value) =>
        value is Undefined missing ? throw state.Fail(missing.Reason) : value;

    public static bool TryItems(RenderState state, object? value, out IReadOnlyList<object?> items)
    {
        switch (value)
        {
            case Undefined:
                items = [];
                break;
            case SequenceValue sequence:
                // A snapshot: a template may append to the list it walks over.
                state.Charge(sequence.Items.Count);
                items = [.. sequence.Items];
                break;
            case string text:
                state.Charge(text.Length * 4L);
                items = PythonText.Characters(text);
                break;
            case DictValue dict:
                state.Charge(dict.Count);
                items = [.. dict.Keys];
                break;
            case RangeValue range:
                state.Charge(range.Count * 2L);
                var numbers = new object?[range.Count];
                for (int i = 0; i < numbers.Length; i++)
                    numbers[i] = range[i];
                items = numbers;
                break;
            case IteratorValue iterator:
                items = iterator.TakeAll();
                break;
            default:
                items = [];
                return false;
        }

        return true;
    }

    public static IReadOnlyList<object?> Items(RenderState state, object? value) => TryItems(state, value, out var items)
        ? items
        : throw state.Fail($"'{Name(value)}' cannot be iterated over");

    public static long Length(RenderState state, object? value) => value switch
    {
        string text => TextLength(state, text),
        SequenceValue sequence => sequence.Items.Count,
        DictValue dict => dict.Count,
        RangeValue range => range.Count,
        Undefined => 0,
        LoopValue loop => loop.Count,
        _ => throw state.Fail($"'{Name(value)}' has no length"),
    };

    private static long TextLength(RenderState state, string text)
    {
        state.ChargeScan(text);
        return PythonText.Length(text);
    }
}
