using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Syntax;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Nodes;

/// <summary>Arguments as written, including <c>*list</c> and <c>**dict</c>.</summary>
internal sealed record ArgumentList(
    IReadOnlyList<Expression> Positional,
    IReadOnlyList<(string Name, Expression Value)> Named,
    Expression? Spread,
    Expression? NamedSpread)
{
    public static ArgumentList Empty { get; } = new([], [], null, null);

    public Arguments Evaluate(RenderState state)
    {
        if (this == Empty)
            return Arguments.Empty;
        List<object?> positional = [.. Positional.Select(p => p.Evaluate(state))];
        if (Spread is not null)
            positional.AddRange(Kinds.Items(state, Spread.Evaluate(state)));
        List<KeyValuePair<string, object?>> named = [.. Named.Select(n => KeyValuePair.Create(n.Name, n.Value.Evaluate(state)))];
        if (NamedSpread is not null)
        {
            if (NamedSpread.Evaluate(state) is not DictValue map)
                throw state.Fail("only a dict can follow ** in a call");
            foreach ((object? key, object? value) in map.Entries)
                named.Add(KeyValuePair.Create(key as string ?? throw state.Fail("keys behind ** are strings"), value));
        }

        return new Arguments(positional, named);
    }
}

internal sealed class Call(Position position, Expression callee, ArgumentList arguments) : Expression(position)
{
    protected override object? Compute(RenderState state)
    {
        Callable function = Callee(state);
        Arguments values = arguments.Evaluate(state);
        state.At(this);
        return function.Invoke(state, values);
    }

    public object? EvaluateWithCaller(RenderState state, MacroValue caller)
    {
        Callable function = Callee(state);
        Arguments values = arguments.Evaluate(state);
        state.At(this);
        return function.Invoke(
            state, new Arguments(values.Positional, [.. values.Named, new KeyValuePair<string, object?>("caller", caller)]));
    }

    private Callable Callee(RenderState state)
    {
        object? value = callee.Evaluate(state);
        state.At(this);
        return Kinds.Defined(state, value) as Callable ?? throw state.Fail($"'{Kinds.Name(value)}' cannot be called");
    }
}

/// <summary>
/// A filter application. An unknown filter is refused while parsing, except inside conditions: there, as in Jinja, only
/// when it is reached (<paramref name="filter"/> is null).
/// </summary>
internal sealed class FilterCall(Position position, string name, Builtin? filter, Expression value, ArgumentList arguments)
    : Expression(position)
{
    protected override object? Compute(RenderState state)
    {
        object? subject = value.Evaluate(state);
        Arguments values = arguments.Evaluate(state);
        state.At(this);
        return (filter ?? throw state.Fail($"no filter named '{name}'")).Invoke(state, subject, values);
    }
}

/// <summary>An <c>is</c> test; unknown names are treated as for filters.</summary>
internal sealed class TestCall(Position position, string name, Builtin? test, Expression value, ArgumentList arguments)
    : Expression(position)
{
    protected override object? Compute(RenderState state)
    {
        object? subject = value.Evaluate(state);
        Arguments values = arguments.Evaluate(state);
        state.At(this);
        return (test ?? throw state.Fail($"no test named '{name}'")).Invoke(state, subject, values);
    }
}
