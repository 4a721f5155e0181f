using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Library;

/// <summary>Filters that take another filter or a test by name.</summary>
internal static class SelectionFilters
{
    public static IEnumerable<Builtin> Table { get; } =
    [
        new("map", null, Map),
        new("select", null, (s, v, a) => Select(s, v, a, byAttribute: false, keep: true)),
        new("reject", null, (s, v, a) => Select(s, v, a, byAttribute: false, keep: false)),
        new("selectattr", null, (s, v, a) => Select(s, v, a, byAttribute: true, keep: true)),
        new("rejectattr", null, (s, v, a) => Select(s, v, a, byAttribute: true, keep: false)),
    ];

    private static IteratorValue Map(RenderState state, object? value, Arguments arguments)
    {
        Func<object?, object?> convert = arguments.Positional.Count == 0 ? ByAttribute(state, arguments) : ByFilter(state, arguments);
        return new IteratorValue([.. Kinds.Items(state, value).Select(item => Charged(state, convert, item))]);
    }

    private static object? Charged(RenderState state, Func<object?, object?> convert, object? item)
    {
        state.Charge(1);
        return convert(item);
    }

    private static Func<object?, object?> ByAttribute(RenderState state, Arguments arguments)
    {
        if (!arguments.TryNamed("attribute", out object? path))
            throw state.Fail("map needs the name of a filter or attribute=");
        arguments.TryNamed("default", out object? fallback);
        return item => Access.Path(state, item, path) is var found && found is Undefined && fallback is not null ? fallback : found;
    }

    private static Func<object?, object?> ByFilter(RenderState state, Arguments arguments)
    {
        string name = arguments.Text(state, 0) ?? "";
        Builtin filter = Filters.Find(name) ?? throw state.Fail($"no filter named '{name}'");
        Arguments rest = arguments.Skip(1);
        return item => filter.Invoke(state, item, rest);
    }

    private static IteratorValue Select(RenderState state, object? value, Arguments arguments, bool byAttribute, bool keep)
    {
        object? path = byAttribute ? arguments.Required(state, 0, "attribute") : null;
        int testIndex = byAttribute ? 1 : 0;
        Builtin? test = null;
        if (arguments.Has(testIndex))
        {
            string name = arguments.Text(state, testIndex) ?? "";
            test = Tests.Find(name) ?? throw state.Fail($"no test named '{name}'");
        }

        Arguments rest = arguments.Skip(testIndex + 1);
        return new IteratorValue([.. Kinds.Items(state, value).Where(Matches)]);

        bool Matches(object? item)
        {
            state.Charge(1);
            object? subject = byAttribute ? Access.Path(state, item, path) : item;
            return Kinds.IsTrue(state, test is null ? subject : test.Invoke(state, subject, rest)) == keep;
        }
    }
}
