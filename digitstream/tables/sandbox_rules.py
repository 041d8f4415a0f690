"""The parts that a query may have: classes of Spark's plans and expressions, by package.

A query with anything else is refused, so classes in later releases of Spark are refused too.
"""

from __future__ import annotations

_CATALYST = "org.apache.spark.sql.catalyst."


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _classes(package: str, names: str) -> frozenset[str]:
    return frozenset(f"{_CATALYST}{package}{name}" for name in _names(names))


PLANS = _classes(
    "plans.logical.",
    """
    Aggregate CTERelationDef CTERelationRef Distinct Except Expand Filter Generate GlobalLimit
    Intersect Join LateralJoin LocalLimit LocalRelation Offset OneRowRelation Pivot Project Range
    Sample Sort SubqueryAlias Union Unpivot UnresolvedWith Window WithCTE WithWindowDefinition
    """,
)
"""Steps of a query, without commands, INSERT, TRANSFORM, hints, files and time travel."""

UNRESOLVED = _classes(
    "analysis.",
    """
    MultiAlias ResolvedInlineTable UnresolvedAlias UnresolvedAttribute UnresolvedExtractValue
    UnresolvedHaving UnresolvedInlineTable UnresolvedStar UnresolvedSubqueryColumnAliases
    UnresolvedTVFAliases
    """,
)
"""What the parser leaves to the analysis. Relations and functions are checked by name."""

SYNTAX = _classes(
    "expressions.",
    """
    Alias AttributeReference BinaryPad BinaryPredicate Cast Ceil CheckOverflow Contains Cube
    CurrentRow$ DateAddInterval DateAddYMInterval DatetimeSub DivideDTInterval DivideInterval
    DivideYMInterval EndsWith Exists Explode ExtractANSIIntervalDays ExtractANSIIntervalHours
    ExtractANSIIntervalMinutes ExtractANSIIntervalMonths ExtractANSIIntervalSeconds
    ExtractANSIIntervalYears Floor GetArrayItem GetArrayStructFields GetMapValue GetStructField
    GroupingSets ILike InSubquery KnownNotNull KnownNullable LambdaFunction LateralSubquery LikeAll
    LikeAny ListQuery Literal Mask MultiplyDTInterval MultiplyInterval MultiplyYMInterval
    NamedArgumentExpression NamedLambdaVariable NotLikeAll NotLikeAny OuterReference
    PreciseTimestampConversion Rollup RoundCeil RoundFloor ScalarSubquery SecondWithFraction
    SortOrder SpecifiedWindowFrame StartsWith StringDecode StringLPad StringRPad SubtractDates
    SubtractTimestamps TimeAdd TimestampAdd TimestampAddYMInterval TimestampDiff TryEval
    UnboundedFollowing$ UnboundedPreceding$ UnresolvedNamedLambdaVariable
    UnresolvedWindowExpression UnspecifiedFrame$ WindowExpression WindowSpecDefinition
    """,
)
"""Expressions that are syntax, or that the analysis creates from syntax and functions."""

SCALARS = _classes(
    "expressions.",
    """
    Abs Acos Acosh Add AddMonths And ArrayAggregate ArrayAppend ArrayCompact ArrayContains
    ArrayDistinct ArrayExcept ArrayExists ArrayFilter ArrayForAll ArrayInsert ArrayIntersect
    ArrayJoin ArrayMax ArrayMin ArrayPosition ArrayPrepend ArrayRemove ArrayRepeat ArraySize
    ArraySort ArrayTransform ArrayUnion ArraysOverlap ArraysZip Ascii Asin Asinh AssertTrue Atan
    Atan2 Atanh BRound Base64 Bin BitLength BitmapBitPosition BitmapBucketNumber BitmapConstructAgg
    BitmapCount BitmapOrAgg BitwiseAnd BitwiseCount BitwiseGet BitwiseNot BitwiseOr BitwiseXor
    CaseWhen Cbrt CeilExpressionBuilder Chr Coalesce Concat ConcatWs ContainsExpressionBuilder Conv
    ConvertTimezone Cos Cosh Cot Crc32 CreateArray CreateMap CreateNamedStruct Csc CsvToStructs
    CumeDist CurDateExpressionBuilder CurrentDate CurrentTimeZone CurrentTimestamp DateAdd DateDiff
    DateFormatClass DateFromUnixDate DatePartExpressionBuilder DateSub DayOfMonth DayOfWeek
    DayOfYear Decode DenseRank Divide ElementAt Elt Encode EndsWithExpressionBuilder EqualNull
    EqualNullSafe EqualTo EulerNumber Exp ExplodeExpressionBuilder Expm1 Extract Factorial
    FindInSet Flatten FloorExpressionBuilder FormatNumber FormatString FromUTCTimestamp
    FromUnixTime Get GetJsonObject GreaterThan GreaterThanOrEqual Greatest Grouping GroupingID Hex
    HllSketchEstimate HllUnion Hour Hypot If In InitCap Inline IntegralDivide IsNaN IsNotNull
    IsNull JsonObjectKeys JsonToStructs JsonTuple LPadExpressionBuilder Lag LastDay Lead Least Left
    Length LengthOfJsonArray LessThan LessThanOrEqual Levenshtein Like LocalTimestamp Log Log10
    Log1p Log2 Logarithm Lower Luhncheck MakeDTInterval MakeDate MakeInterval MakeTimestamp
    MakeTimestampLTZExpressionBuilder MakeTimestampNTZExpressionBuilder MakeYMInterval MapConcat
    MapContainsKey MapEntries MapFilter MapFromArrays MapFromEntries MapKeys MapValues MapZipWith
    MaskExpressionBuilder Md5 MicrosToTimestamp MillisToTimestamp Minute Month MonthsBetween
    Multiply Murmur3Hash NTile NaNvl NextDay Not Now NthValue NullIf Nvl Nvl2 OctetLength Or
    Overlay ParseToDate ParseToTimestamp ParseToTimestampLTZExpressionBuilder
    ParseToTimestampNTZExpressionBuilder ParseUrl PercentRank Pi Pmod PosExplode Pow Quarter RLike
    RPadExpressionBuilder RaiseError Rank RegExpCount RegExpExtract RegExpExtractAll RegExpInStr
    RegExpReplace RegExpSubStr Remainder Reverse Right Rint Round RowNumber SchemaOfCsv
    SchemaOfJson Sec Second SecondsToTimestamp Sentences Sequence SessionWindow Sha1 Sha2 ShiftLeft
    ShiftRight ShiftRightUnsigned Signum Sin Sinh Size Slice SortArray SoundEx SplitPart Sqrt Stack
    StartsWithExpressionBuilder StringInstr StringLocate StringRepeat StringReplace StringSpace
    StringSplit StringToMap StringTranslate StringTrim StringTrimBoth StringTrimLeft
    StringTrimRight StructsToCsv StructsToJson Substring SubstringIndex Subtract Tan Tanh
    TimeWindow ToBinary ToCharacter ToDegrees ToNumber ToRadians ToUTCTimestamp ToUnixTimestamp
    TransformKeys TransformValues TruncDate TruncTimestamp TryAdd TryDivide TryElementAt
    TryMultiply TrySubtract TryToBinary TryToNumber TryToTimestampExpressionBuilder TypeOf UnBase64
    UnaryMinus UnaryPositive Unhex UnixDate UnixMicros UnixMillis UnixSeconds UnixTimestamp Upper
    UrlDecode UrlEncode WeekDay WeekOfYear WidthBucket WindowTime XxHash64 Year ZipWith
    """,
)
"""Functions and operators whose value depends on their arguments alone, or on the clock.

Left out are those that run code (`reflect`, `java_method`), reveal this machine or its user
(`input_file_name`, `current_user`, `version`), are random (`rand`, `uuid`), encrypt, or parse XML.
"""

AGGREGATES = _classes(
    "expressions.aggregate.",
    """
    AggregateExpression AnyValue ApproximatePercentile Average BitAndAgg BitOrAgg BitXorAgg BoolAnd
    BoolOr CollectList CollectSet Corr Count CountIf CountMinSketchAgg
    CountMinSketchAggExpressionBuilder CovPopulation CovSample First HistogramNumeric HllSketchAgg
    HllUnionAgg HyperLogLogPlusPlus Kurtosis Last Max MaxBy Median Min MinBy Mode Percentile
    PercentileCont PercentileDisc PivotFirst RegrAvgX RegrAvgY RegrCount RegrIntercept RegrR2
    RegrSXX RegrSXY RegrSYY RegrSlope Skewness StddevPop StddevSamp Sum TryAverageExpressionBuilder
    TrySumExpressionBuilder VariancePop VarianceSamp
    """,
)
"""Aggregates."""

TABLE_FUNCTIONS = _names(
    "explode explode_outer inline inline_outer json_tuple posexplode posexplode_outer range stack"
)
"""Functions that return rows, by name."""

NODES = PLANS | UNRESOLVED | SYNTAX | SCALARS | AGGREGATES
"""All of these."""

LEAVES = (
    _classes("analysis.", "UnresolvedAttribute")
    | _classes("expressions.", "AttributeReference Literal NamedLambdaVariable")
    | _classes("plans.logical.", "CTERelationRef LocalRelation")
)
"""Those of NODES that hold names and values, and nothing to compute."""

VALUES = frozenset({"java.util.UUID", "scala.Enumeration$Val", "scala.None$"}) | _classes(
    "",
    """
    AliasIdentifier FunctionIdentifier expressions.Ascending$ expressions.Descending$
    expressions.ExprId expressions.NullsFirst$ expressions.NullsLast$ expressions.RangeFrame$
    expressions.RowFrame$ expressions.WindowSpecReference expressions.aggregate.Complete$
    plans.Cross$ plans.FullOuter$ plans.Inner$ plans.LeftAnti$ plans.LeftOuter$ plans.LeftSemi$
    plans.NaturalJoin plans.RightOuter$ plans.UsingJoin plans.logical.JoinHint
    """,
)
"""Other values in nodes: names, orders, kinds of joins."""

WORDS = {
    "CurrentUser": "current_user",
    "ExpressionWithUnresolvedIdentifier": "IDENTIFIER",
    "InsertIntoDir": "INSERT",
    "PlanWithUnresolvedIdentifier": "IDENTIFIER",
    "RelationTimeTravel": "VERSION or TIMESTAMP AS OF",
    "RepartitionByExpression": "DISTRIBUTE BY or CLUSTER BY",
    "ScriptTransformation": "TRANSFORM",
    "UnresolvedHint": "hints",
}
"""The users' words for some refused classes."""
