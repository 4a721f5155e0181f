using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Library;

/// <summary>Functions every template can call.</summary>
internal static class Globals
{
    /// <summary>Longest range; the sandbox Hugging Face renders in has the same bound.</summary>
    private const long MaxRange = 100_000;

    private static readonly Builtin[] Functions =
    [
        new("raise_exception", ["message"], (s, _, a) => throw new ChatTemplateRejection(ValueText.Str(s, a[0]))),
        new("strftime_now", ["format"], (s, _, a) =>
            DateFormat.Format(s, s.Options.Clock.GetLocalNow(), a.Text(s, 0) ?? throw s.Fail("missing argument 'format'"))),
        new("range", ["start", "stop", "step"], Range),
        new("dict", null, (s, _, a) => Dict(s, a)),
        new("namespace", null, Namespace),
        new("joiner", ["sep"], (s, _, a) => new BoundBuiltin(Joiner(a.Has(0) ? ValueText.Str(s, a[0]) : ", "), null)),
    ];

    /// <summary>Shared by all renderings: a template cannot reach it with an assignment.</summary>
    public static Scope Scope { get; } = BuildScope();

    private static Scope BuildScope()
    {
        var scope = new Scope(null);
        foreach (Builtin function in Functions)
            scope.Set(function.Name, new BoundBuiltin(function, null));
        return scope;
    }

    private static RangeValue Range(RenderState state, object? self, Arguments arguments)
    {
        if (arguments.Positional.Any(a => a is not (long or bool)) || arguments.Positional.Count == 0)
            throw state.Fail("range takes one to three integers");
        bool one = arguments.Positional.Count == 1;
        long start = one ? 0 : arguments.Integer(state, 0, 0);
        long stop = arguments.Integer(state, one ? 0 : 1, 0);
        long step = arguments.Integer(state, 2, 1);
        if (step == 0)
            throw state.Fail("the step of range cannot be zero");
        Int128 span = step > 0 ? (Int128)stop - start : (Int128)start - stop;
        Int128 stride = Int128.Abs(step);
        Int128 count = span <= 0 ? 0 : (span + stride - 1) / stride;
        if (count > MaxRange)
            throw state.Limit($"range of {count} numbers, at most {MaxRange} are allowed");
        return new RangeValue(start, stop, step, (int)count);
    }

    private static DictValue Dict(RenderState state, Arguments arguments)
    {
        var dict = new DictValue();
        if (arguments.Positional.Count > 1)
            throw state.Fail("dict takes at most one positional argument");
        if (arguments[0] is DictValue source)
        {
            state.Charge(source.Count * 4L);
            foreach ((object? key, object? value) in source.Entries)
                dict.Set(key, value);
        }
        else if (arguments.Positional.Count == 1)
        {
            foreach (object? pair in Kinds.Items(state, arguments[0]))
            {
                if (Kinds.Items(state, pair) is not [var key, var value] || !DictValue.IsKey(key))
                    throw state.Fail("dict takes a dict or a list of pairs");
                state.Charge(4);
                dict.Set(key, value);
            }
        }

        foreach ((string name, object? value) in arguments.Named)
            dict.Set(name, value);
        return dict;
    }

    private static NamespaceValue Namespace(RenderState state, object? self, Arguments arguments)
    {
        var space = new NamespaceValue();
        foreach ((object? key, object? value) in Dict(state, arguments).Entries)
            space.Attributes.Set(key, value);
        return space;
    }

    private static Builtin Joiner(string separator)
    {
        bool used = false;
        return new Builtin("joiner", [], (_, _, _) =>
        {
            (bool before, used) = (used, true);
            return before ? separator : "";
        });
    }
}
